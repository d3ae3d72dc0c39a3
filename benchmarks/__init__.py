"""What is measured, and how to run it again. Nothing here is asserted on in tests."""
