"""From TFRecords to batches of uint8 clips."""
