"""A trained model as a page in the browser and an API, on this machine by default."""
