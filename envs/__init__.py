"""The routing game as environments: PettingZoo, Gymnasium, and batches for learners."""

from stackroute.envs.batch import PatienceBatch as PatienceBatch
from stackroute.envs.batch import ProviderBatch as ProviderBatch
from stackroute.envs.encoding import action_from_commitment as action_from_commitment
from stackroute.envs.encoding import commitment_from_action as commitment_from_action
from stackroute.envs.encoding import observation_space as observation_space
from stackroute.envs.encoding import observe as observe
from stackroute.envs.pass_batch import PassBatch as PassBatch
from stackroute.envs.pettingzoo_env import RoutingGameEnv as RoutingGameEnv
from stackroute.envs.pettingzoo_env import env as env
from stackroute.envs.pettingzoo_env import raw_env as raw_env
from stackroute.envs.pettingzoo_parallel import ParallelRoutingGameEnv as ParallelRoutingGameEnv
from stackroute.envs.pettingzoo_parallel import parallel_env as parallel_env
from stackroute.envs.policies import InformedUserPolicy as InformedUserPolicy
from stackroute.envs.policies import ProviderPolicy as ProviderPolicy
from stackroute.envs.policies import UserPolicy as UserPolicy
from stackroute.envs.policies import register_provider as register_provider
from stackroute.envs.policies import register_user as register_user
from stackroute.envs.provider_env import ProviderEnv as ProviderEnv
from stackroute.envs.routing_batch import BatchStep as BatchStep
from stackroute.envs.routing_batch import RoutingBatch as RoutingBatch
from stackroute.envs.rules import ABANDON as ABANDON
from stackroute.envs.rules import RE_PROMPT as RE_PROMPT
from stackroute.envs.user_batch import UserBatch as UserBatch
from stackroute.envs.user_env import PATIENCE_LEVELS as PATIENCE_LEVELS
from stackroute.envs.user_env import UserEnv as UserEnv
from stackroute.envs.variant import Options as Options
from stackroute.envs.variant import Variant as Variant
from stackroute.envs.vector_envs import ProviderVectorEnv as ProviderVectorEnv
from stackroute.envs.vector_envs import UserVectorEnv as UserVectorEnv

