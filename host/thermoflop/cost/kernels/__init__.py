"""Times of single kernels: a form for each class, and what measured kernels say of its rates."""
