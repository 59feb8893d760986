"""The Franka Research 3 arm with the Franka Hand.

Joint origins, limits of the joints and of their torques are Franka's; masses and inertias are those published with the
MuJoCo Menagerie FR3 (Apache-2.0). Hand, fingers and shells are the Panda's, in the colours of the FR3.
"""

from hilserl.sim.robot_models import panda
from hilserl.sim.robot_models.drawing import HINGE, IDENTITY, X_NEG_90, X_POS_90, Drawing, Joint, Link, Rgba
from hilserl.sim.robot_models.model import RobotModel

_BODY: Rgba = (0.90, 0.91, 0.92, 1.0)
_DARK: Rgba = (0.16, 0.17, 0.19, 1.0)
_COLOURS = {panda.SHELL: _BODY, panda.SHELL_SHADE: _DARK, panda.RING: _DARK}


def _joint(index: int, low: float, high: float) -> Joint:
    """Return a joint with its drive's inertia and torque limit."""
    big = index <= 4
    return Joint(f"joint{index}", HINGE, (low, high), 0.195 if big else 0.074, 1.0, 87.0 if big else 12.0)


# fmt: off
_LINKS = (
    *panda.LINKS[:1],
    Link("link1", "link0", (0, 0, 0.333), IDENTITY, _joint(1, -2.7437, 2.7437),
         2.92747, (0, -0.0181251, -0.0386036), (0.0239273, 0.0224821, 0.0063501, 1.33e-5, -0.000114051, -0.00199503)),
    Link("link2", "link1", (0, 0, 0), X_NEG_90, _joint(2, -1.7837, 1.7837),
         2.93554, (0.00318289, -0.0743222, 0.00881461),
         (0.0419389, 0.0251452, 0.0617021, 0.000202601, 0.00407778, -0.00422523)),
    Link("link3", "link2", (0, -0.316, 0), X_POS_90, _joint(3, -2.9007, 2.9007),
         2.2449, (0.0407016, -0.00482006, -0.0289731),
         (0.0241014, 0.0197405, 0.0190445, 0.00240468, -0.00285627, -0.00210421)),
    Link("link4", "link3", (0.0825, 0, 0), X_POS_90, _joint(4, -3.0421, -0.1518),
         2.6156, (-0.0459101, 0.0630493, -0.00851879),
         (0.03453, 0.0288817, 0.0412547, 0.0132255, 0.0101514, -0.000976307)),
    Link("link5", "link4", (-0.0825, 0.384, 0), X_NEG_90, _joint(5, -2.8065, 2.8065),
         2.32712, (-0.00160396, 0.0292536, -0.0972966),
         (0.0516103, 0.0478773, 0.0164237, -0.00571518, -0.00356732, 0.010674)),
    Link("link6", "link5", (0, 0, 0), X_POS_90, _joint(6, 0.5445, 4.5169),
         1.81704, (0.0597131, -0.0410295, -0.0101693),
         (0.00541232, 0.0140583, 0.0160808, 0.00619345, 0.00142192, -0.00131407)),
    Link("link7", "link6", (0.088, 0, 0), X_POS_90, _joint(7, -3.0159, 3.0159),
         0.627143, (0.00452258, 0.00862619, -0.0161633),
         (0.000210924, 0.000177186, 5.9932e-5, -2.4333e-5, 4.56448e-5, 8.74408e-5)),
    *panda.LINKS[8:],
)
# fmt: on
_SHAPES = tuple(shape._replace(colour=_COLOURS.get(shape.colour, shape.colour)) for shape in panda.SHAPES)

FR3 = RobotModel(
    name="fr3",
    title="Franka Research 3, Franka Hand",
    body=Drawing(_LINKS, _SHAPES, panda.PADS, panda.GUARDS),
    joints=panda.ARM_JOINTS,
    gripper=panda.FRANKA_HAND,
    home_joints_rad=panda.HOME_JOINTS_RAD,
    workspace_low_m=(0.24, -0.3, 0.0),
    workspace_high_m=(0.6, 0.3, 0.5),
    tcp_from_hand_m=panda.TCP_FROM_WRIST_M,
    control="torque",
    senses_wrench=True,
)
