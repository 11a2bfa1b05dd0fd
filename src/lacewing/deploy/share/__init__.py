"""A trained model on its way to other people: a folder that other libraries read, and the hub."""
