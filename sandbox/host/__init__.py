"""The portal's own pages: a small CRM around the application's frame, and the BX24 script."""
