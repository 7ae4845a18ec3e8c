"""The estimator page without its looks: inputs, answers, reasons, exports."""
