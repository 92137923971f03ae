"""Reference implementations and file helpers shared by the developer tools. Never needed to use fathom."""
