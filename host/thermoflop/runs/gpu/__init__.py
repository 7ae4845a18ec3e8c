"""GPU telemetry: read NVML, decode why a GPU slowed down, and a simulated library to test it on."""
