//! One file a command. Flags, colours, exit codes live here and nowhere else.
