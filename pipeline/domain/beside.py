"""Whether what a pack yields beside stock can be served."""

from collections.abc import Mapping

from pipeline.domain.movements import movement_shape
from pipeline.domain.order_lines import ViewLike, order_shape
from pipeline.domain.shape import Shape


def check_beside(views: Mapping[str, ViewLike], stock: Shape) -> None:
    """Raises PackError where the order or the movement query does not go with `stock`."""
    if "orders" in views:
        order_shape(views["orders"], stock)
    if "movements" in views:
        movement_shape(views["movements"], stock)
