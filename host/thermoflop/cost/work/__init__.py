"""The operators of a step as FLOPs and bytes on one device of a layout."""
