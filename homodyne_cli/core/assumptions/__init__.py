"""What the model takes for granted of the measurement, held against the data and the fit."""
