"""The estimator page: inputs, answers, explanations, exports."""
