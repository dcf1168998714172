"""What runs inside the Python guest; `entry` is its door."""
