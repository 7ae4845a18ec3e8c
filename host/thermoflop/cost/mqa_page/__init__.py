"""mqa_page."""
