"""From T0 to the end: the order of leaving, its timetable, its report, what is in flight."""
