"""Pure decisions and pure texts: functions of values that do nothing."""
