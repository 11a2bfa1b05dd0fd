"""A trained model in a form that other programs run, checked against the original."""
