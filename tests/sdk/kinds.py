"""The kinds of jobs as users of the SDK write them: typed objects."""

from dataclasses import dataclass

from kubeflow.training import (
    KubeflowOrgV1JAXJob,
    KubeflowOrgV1JAXJobSpec,
    KubeflowOrgV1MPIJob,
    KubeflowOrgV1MPIJobSpec,
    KubeflowOrgV1PaddleJob,
    KubeflowOrgV1PaddleJobSpec,
    KubeflowOrgV1PyTorchJob,
    KubeflowOrgV1PyTorchJobSpec,
    KubeflowOrgV1ReplicaSpec,
    KubeflowOrgV1RunPolicy,
    KubeflowOrgV1TFJob,
    KubeflowOrgV1TFJobSpec,
    KubeflowOrgV1XGBoostJob,
    KubeflowOrgV1XGBoostJobSpec,
)
from kubernetes.client import V1Container, V1ObjectMeta, V1PodSpec, V1PodTemplateSpec

# What the fake nodes do with a pod: it ends at once, well or badly. Without one of these it runs until it is told to end.
SUCCEEDS = {"test/complete-after": "0s"}
FAILS = {"test/complete-after": "0s", "test/exit-code": "1"}
# Worth another try by the policy ExitCode. The next pod takes its time, so that the job is seen restarting.
IS_KILLED = {"test/start-after": "2s", "test/complete-after": "0s", "test/exit-code": "137"}


@dataclass(frozen=True)
class Kind:
    name: str
    job: type
    spec: type
    replica_specs: str
    container: str
    replicas: dict
    restart_policy: str
    # What a pod's name has after the job's; None where no pod is the master.
    master: str | None
    pods: tuple
    extra: dict

    def of(self, name, annotations=None, restart_policy=None, **run_policy):
        """A job whose pods carry these annotations."""
        template = V1PodTemplateSpec(
            metadata=V1ObjectMeta(annotations={"sidecar.istio.io/inject": "false", **(annotations or {})}),
            spec=V1PodSpec(containers=[V1Container(name=self.container, image="fake", command=["train"])]),
        )
        policy = restart_policy or self.restart_policy
        replicas = {
            replica_type: KubeflowOrgV1ReplicaSpec(replicas=count, restart_policy=policy, template=template)
            for replica_type, count in self.replicas.items()
        }
        run_policy = KubeflowOrgV1RunPolicy(clean_pod_policy="None", **run_policy)
        return self.job(
            api_version="kubeflow.org/v1",
            kind=self.name,
            metadata=V1ObjectMeta(name=name),
            spec=self.spec(run_policy=run_policy, **{self.replica_specs: replicas}, **self.extra),
        )


def kind(job, spec, replica_specs, container, replicas, policy, master, pods, **extra):
    name = job.__name__.removeprefix("KubeflowOrgV1")
    return Kind(name, job, spec, replica_specs, container, replicas, policy, master, pods, extra)


PYTORCH = kind(
    KubeflowOrgV1PyTorchJob,
    KubeflowOrgV1PyTorchJobSpec,
    "pytorch_replica_specs",
    "pytorch",
    {"Master": 1, "Worker": 1},
    "OnFailure",
    "master-0",
    ("master-0", "worker-0"),
)
TENSORFLOW = kind(
    KubeflowOrgV1TFJob,
    KubeflowOrgV1TFJobSpec,
    "tf_replica_specs",
    "tensorflow",
    {"Worker": 1},
    "Never",
    "worker-0",
    ("worker-0",),
)
XGBOOST = kind(
    KubeflowOrgV1XGBoostJob,
    KubeflowOrgV1XGBoostJobSpec,
    "xgb_replica_specs",
    "xgboost",
    {"Master": 1, "Worker": 1},
    "OnFailure",
    "master-0",
    ("master-0", "worker-0"),
)
PADDLE = kind(
    KubeflowOrgV1PaddleJob,
    KubeflowOrgV1PaddleJobSpec,
    "paddle_replica_specs",
    "paddle",
    {"Worker": 2},
    "OnFailure",
    None,
    ("worker-0", "worker-1"),
)
JAX = kind(
    KubeflowOrgV1JAXJob,
    KubeflowOrgV1JAXJobSpec,
    "jax_replica_specs",
    "jax",
    {"Worker": 2},
    "OnFailure",
    "worker-0",
    ("worker-0", "worker-1"),
)
MPI = kind(
    KubeflowOrgV1MPIJob,
    KubeflowOrgV1MPIJobSpec,
    "mpi_replica_specs",
    "mpi",
    {"Launcher": 1, "Worker": 1},
    "Never",
    "launcher",
    ("launcher", "worker-0"),
    slots_per_worker=1,
)
KINDS = (PYTORCH, TENSORFLOW, XGBOOST, PADDLE, JAX, MPI)
