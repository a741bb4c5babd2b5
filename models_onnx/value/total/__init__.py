"""What all customers together will spend, and the calibration of a model to that total."""
