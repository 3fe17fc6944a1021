"""Where shard tasks run. Tasks are pure, picklable and know no engine; engines know no task."""
