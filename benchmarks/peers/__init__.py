"""What a careful user would write without grokprobe."""
