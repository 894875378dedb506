"""What people look at: tables and claims in terminals and files, figures, and pages."""
