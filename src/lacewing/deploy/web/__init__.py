"""A folder with a page that names pictures inside the browser, also without a network."""
