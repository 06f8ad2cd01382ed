"""From TFRecords to batches of clips: opening, sampling, augmentation, views, batches."""
