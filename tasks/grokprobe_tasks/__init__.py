"""The built-in tasks. The core knows none of them; they come in through entry points like anybody's."""
