"""Shows unpaid payments, in the tab and on the main page, and pays, marks and undoes them."""
