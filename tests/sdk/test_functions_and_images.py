"""Jobs that the SDK writes: from a function, from an image, by `train`. It does so for PyTorchJob and TFJob."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest
from kinds import PYTORCH, TENSORFLOW
from kubernetes.client import (
    V1HostPathVolumeSource,
    V1ObjectMeta,
    V1ObjectReference,
    V1PersistentVolume,
    V1PersistentVolumeSpec,
)


def learn(parameters):
    """Anything that Python can run."""
    print(f"learning at a rate of {parameters['rate']}")


@pytest.fixture
def kind():
    return PYTORCH


def environment(pod, container=0):
    return {variable.name: variable.value for variable in pod.spec.containers[container].env or []}


def replica(training, name, replica_type, index=0):
    (pod,) = training.get_job_pods(name, replica_type=replica_type, replica_index=index)
    return pod


def end_all(training, name, end):
    for pod in training.get_job_pod_names(name):
        end(pod)


def test_function(training, name, wait, end):
    training.create_job(name=name, train_func=learn, parameters={"rate": 0.1}, num_workers=3, num_procs_per_worker=2)
    wait(name, "Running")
    pods = {f"{name}-{replica}" for replica in ("master-0", "worker-0", "worker-1")}
    assert set(training.get_job_pod_names(name)) == pods
    replicas = [("master", 0), ("worker", 0), ("worker", 1)]
    for rank, pod in enumerate(replica(training, name, *which) for which in replicas):
        container = pod.spec.containers[0]
        assert container.command == ["bash", "-c"]
        assert "learn({'rate': 0.1})" in container.args[0] and "torchrun" in container.args[0]
        # All that torchrun has to go by: it gets no arguments.
        expected = {
            "PET_NNODES": "3",
            "PET_NPROC_PER_NODE": "2",
            "PET_NODE_RANK": str(rank),
            "PET_MASTER_ADDR": f"{name}-master-0",
            "PET_MASTER_PORT": "23456",
        }
        assert expected.items() <= environment(pod).items()
    end_all(training, name, end)
    wait(name, "Succeeded")


def test_image(training, name, wait, end):
    training.create_job(name=name, base_image="docker.io/hello-world", env_vars={"GREETING": "hello"})
    wait(name, "Running")
    assert training.get_job_pod_names(name, is_master=True) == [f"{name}-master-0"] == training.get_job_pod_names(name)
    pod = replica(training, name, "master")
    assert pod.spec.containers[0].image == "docker.io/hello-world" and pod.spec.containers[0].command is None
    assert environment(pod)["GREETING"] == "hello" and environment(pod)["WORLD_SIZE"] == "1"
    end_all(training, name, end)
    wait(name, "Succeeded")


class TestTensorflow:
    @pytest.fixture
    def kind(self):
        return TENSORFLOW

    def test_tf_function(self, training, name, wait, end):
        counts = {"num_chief_replicas": 1, "num_ps_replicas": 1, "num_workers": 2}
        training.create_job(name=name, train_func=learn, parameters={"rate": 1}, **counts)
        wait(name, "Running")
        assert training.get_job_pod_names(name, is_master=True) == [f"{name}-chief-0"]
        pod = replica(training, name, "worker", 1)
        assert "python -u" in pod.spec.containers[0].args[0]
        config = json.loads(environment(pod)["TF_CONFIG"])
        assert {of: len(hosts) for of, hosts in config["cluster"].items()} == {"chief": 1, "ps": 1, "worker": 2}
        assert config["task"] == {"type": "worker", "index": 1}
        end(f"{name}-chief-0")
        wait(name, "Succeeded")

    def test_tf_image(self, training, name, wait, end):
        training.create_job(name=name, base_image="docker.io/hello-world")
        wait(name, "Running")
        assert training.get_job_pod_names(name) == [f"{name}-worker-0"]
        end_all(training, name, end)
        wait(name, "Succeeded")


def test_train(training, core, name, wait, end, monkeypatch):
    """What `train` sends, without the 3 GB of transformers, peft and PyTorch: it reads a few names of theirs."""
    types = {f"AutoModelFor{task}": type(f"AutoModelFor{task}", (), {}) for task in TASKS}
    settings = SimpleNamespace(to_dict=lambda: {"rank": 8})
    stand_in("transformers", monkeypatch, TrainingArguments=lambda: settings, **types)
    stand_in("peft", monkeypatch, LoraConfig=lambda: settings)
    for module in [module for module in sys.modules if module.startswith("kubeflow.storage_initializer.hugging")]:
        monkeypatch.delitem(sys.modules, module)
    from kubeflow.storage_initializer import hugging_face

    core.create_persistent_volume(volume(name, training.namespace))
    training.train(
        name=name,
        num_workers=2,
        num_procs_per_worker=1,
        resources_per_worker={"cpu": 1, "gpu": 1},
        model_provider_parameters=hugging_face.HuggingFaceModelParams("hf://a/model", types["AutoModelForCausalLM"]),
        dataset_provider_parameters=hugging_face.HuggingFaceDatasetParams("a/dataset"),
        trainer_parameters=hugging_face.HuggingFaceTrainerParams(),
    )
    wait(name, "Running")
    master, worker = (replica(training, name, of) for of in ("master", "worker"))
    assert [container.name for container in master.spec.init_containers] == ["storage-initializer"]
    assert [container.name for container in worker.spec.init_containers] == ["init-pytorch"]
    for pod in (master, worker):
        assert pod.spec.volumes[0].persistent_volume_claim.claim_name == name
        assert pod.spec.containers[0].resources.limits == {"cpu": "1", "nvidia.com/gpu": "1"}
        assert environment(pod)["PET_NNODES"] == "2" and environment(pod)["PET_NPROC_PER_NODE"] == "1"
    end_all(training, name, end)
    wait(name, "Succeeded")


# For which transformers has models, as far as the SDK cares.
TASKS = (
    "SequenceClassification",
    "TokenClassification",
    "QuestionAnswering",
    "CausalLM",
    "MaskedLM",
    "ImageClassification",
)


def stand_in(name, monkeypatch, **names):
    module = ModuleType(name)
    vars(module).update(names)
    monkeypatch.setitem(sys.modules, name, module)


def volume(name, namespace):
    """What an admin's storage class would make of the claim."""
    return V1PersistentVolume(
        metadata=V1ObjectMeta(name=f"{namespace}-{name}"),
        spec=V1PersistentVolumeSpec(
            capacity={"storage": "10Gi"},
            access_modes=["ReadWriteOnce", "ReadOnlyMany"],
            host_path=V1HostPathVolumeSource(path="/nowhere"),
            claim_ref=V1ObjectReference(api_version="v1", kind="PersistentVolumeClaim", namespace=namespace, name=name),
        ),
    )


def test_queue(training, name, caplog):
    training.create_job(name=name, base_image="docker.io/hello-world", queue_name="gpus")
    assert training.get_job(name).metadata.labels == {"kueue.x-k8s.io/queue-name": "gpus"}
    assert "may not be managed by Kueue" in caplog.text
