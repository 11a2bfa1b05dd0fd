"""What each command of `lacewing` takes and does. Heavy imports stand inside the functions."""
