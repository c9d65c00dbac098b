"""The routing game as environments: PettingZoo, Gymnasium, and batches for learners."""

from stackroute.envs.actions import PATIENCE_LEVELS as PATIENCE_LEVELS
from stackroute.envs.actions import ProviderActions as ProviderActions
from stackroute.envs.batch import BatchStep as BatchStep
from stackroute.envs.batch import RoutingBatch as RoutingBatch
from stackroute.envs.observations import observation_space as observation_space
from stackroute.envs.observations import observe as observe
from stackroute.envs.pettingzoo_envs import ParallelRoutingGameEnv as ParallelRoutingGameEnv
from stackroute.envs.pettingzoo_envs import RoutingGameEnv as RoutingGameEnv
from stackroute.envs.pettingzoo_envs import env as env
from stackroute.envs.pettingzoo_envs import parallel_env as parallel_env
from stackroute.envs.pettingzoo_envs import raw_env as raw_env
from stackroute.envs.policies import InformedUserPolicy as InformedUserPolicy
from stackroute.envs.policies import Outcome as Outcome
from stackroute.envs.policies import ProviderPolicy as ProviderPolicy
from stackroute.envs.policies import Seen as Seen
from stackroute.envs.policies import StatefulUserPolicy as StatefulUserPolicy
from stackroute.envs.policies import UserPolicy as UserPolicy
from stackroute.envs.policies import register_provider as register_provider
from stackroute.envs.policies import register_user as register_user
from stackroute.envs.provider_envs import ProviderEnv as ProviderEnv
from stackroute.envs.provider_envs import ProviderVectorEnv as ProviderVectorEnv
from stackroute.envs.registration import register_environments
from stackroute.envs.rules import ABANDON as ABANDON
from stackroute.envs.rules import RE_PROMPT as RE_PROMPT
from stackroute.envs.tasks import Tasks as Tasks
from stackroute.envs.user_envs import UserEnv as UserEnv
from stackroute.envs.user_envs import UserVectorEnv as UserVectorEnv
from stackroute.envs.variant import Options as Options
from stackroute.envs.variant import Variant as Variant

register_environments()
