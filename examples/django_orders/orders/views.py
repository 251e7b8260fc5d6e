"""The views are synchronous, as most views are. What they post, they post when the database has stored it."""

from functools import partial

from django.contrib.auth.decorators import login_required, user_passes_test
from django.contrib.auth.views import LoginView
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.views.decorators.http import require_POST

from .models import Dish, Order
from .realtime import post, post_to_user


@login_required(login_url="/login")
def page(request: HttpRequest) -> HttpResponse:
    orders = Order.objects.filter(ready=False)
    mine = orders if request.user.is_staff else orders.filter(customer=request.user)
    context = {"user": request.user, "orders": mine.order_by("id"), "dishes": Dish.objects.all()}
    return render(request, "orders.html", context)


@require_POST
@login_required(login_url="/login")
@transaction.atomic
def order(request: HttpRequest) -> JsonResponse:
    dish = get_object_or_404(Dish, name=request.POST.get("dish"))
    new = Order.objects.create(customer=request.user, dish=dish)
    message = {"order": new.id, "dish": dish.name}
    transaction.on_commit(partial(post, "kitchen", message, key=f"order-{new.id}"), robust=True)
    if not Dish.objects.filter(name=dish.name, left__gt=0).update(left=F("left") - 1):
        transaction.set_rollback(True)  # the kitchen is not told of this order
        return JsonResponse({"error": f"There is no {dish.name} left."}, status=409)
    return JsonResponse(message, status=201)


@require_POST
@user_passes_test(lambda user: user.is_staff, login_url="/login")
@transaction.atomic
def ready(request: HttpRequest, number: int) -> JsonResponse:
    done = get_object_or_404(Order, id=number)
    done.ready = True
    done.save()
    message = {"order": done.id, "state": "ready"}
    transaction.on_commit(partial(post_to_user, done.customer_id, message, key=f"ready-{done.id}"), robust=True)
    return JsonResponse(message)


login = LoginView.as_view(template_name="orders.html", next_page="/")
urlpatterns = [path("", page), path("login", login), path("orders", order), path("orders/<int:number>/ready", ready)]
