"""Results in the forms that other packages use: a file a form. None of those packages is needed to import this one."""
