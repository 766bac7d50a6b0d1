"""Pure functions: ranking, explanations. Arrays in, numbers out."""
