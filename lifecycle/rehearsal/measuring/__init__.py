"""What is measured while a service is rolled over: losses, answers, and how steady the machine was."""
