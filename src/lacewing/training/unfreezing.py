"""Carry out gradual unfreezing: at each epoch's start, let its layers learn and the others rest."""

from lacewing.engine.norms import is_batchnorm
from lacewing.models.layers import layers_below_head
from lacewing.planning.unfreezing import learning_layers
from lacewing.training.adapt import Monitor
from lacewing.training.session import Session
from lacewing.values import counted


def unfreeze(session: Session, monitor: Monitor) -> None:
    """Let the head and the layers of the running epoch learn; tell it where they have changed.

    Call it in training mode. A layer that rests gets no gradient, so it costs a forward pass only,
    and neither the optimiser nor weight decay moves it; its BatchNorms keep their statistics.
    """
    if not session.config.gradual_unfreezing:
        return
    below = layers_below_head(session.model)
    epoch, epochs, layers = session.progress.epoch, session.config.epochs, max(below.values())
    learning = learning_layers(epoch, epochs, layers)
    for name, weight in session.model.named_parameters():
        weight.requires_grad_(below[name] <= learning)
    for module in session.model.modules():
        if is_batchnorm(module) and not all(w.requires_grad for w in module.parameters()):
            module.eval()  # its statistics rest too
    before = learning_layers(epoch - 1, epochs, layers) if epoch else 0
    if learning == before:
        return
    monitor.forget_speeds()  # steps with more layers take longer
    if session.team.leads and not session.progress.step_in_epoch:
        whole = "all" if learning == layers else f"the last {learning} of"
        session.events.add(
            "unfreezing",
            f"the head and {whole} {counted(layers, 'layer')} learn",
            step=session.progress.step,
            field="learning_layers",
            old=before,
            new=learning,
        )
