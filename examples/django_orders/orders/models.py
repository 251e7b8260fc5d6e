"""What is cooked, and who has ordered it."""

from django.conf import settings
from django.db import models


class Dish(models.Model):
    name = models.CharField(max_length=50, primary_key=True)
    left = models.PositiveIntegerField()


class Order(models.Model):
    customer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    dish = models.ForeignKey(Dish, on_delete=models.CASCADE)
    ready = models.BooleanField(default=False)
