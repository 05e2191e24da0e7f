"""The dashboard: pages made of what the API answers, for people who look on."""
