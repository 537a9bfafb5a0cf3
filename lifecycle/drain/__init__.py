"""The drain: its steps, its timetable, its report, and the work in flight."""
