"""How good and how fast `animals predict --detector` is: trail photos, ordinary photos, and what the cores allow."""
