"""What is done with a trained network and videos, without a dataset: what the commands predict, explain, ... share."""
