#!/usr/bin/python3
"""A FAKE of Amazon ECS for the tests: the published JSON API as far as pipe asks it, with real behaviour behind it. Tasks
are real containers of images from the registry, and whether one is healthy is asked of it over HTTP. What it does with a
release that is not is what the service's own deploymentCircuitBreaker says: nothing and for ever, to fail, or to go back.
    fake.py PORT DOCKER_SOCKET
`POST /faults {"throttle": 2, "broken": 1}` lets the next calls fail; with `"late": 1` whoever asks for a service hears of
it only when it is steady."""
import http.client
import http.server
import json
import socket
import sys
import threading
import time
import urllib.parse
import urllib.request

PORT, SOCKET = int(sys.argv[1]), sys.argv[2].removeprefix("unix://")
LOCK = threading.RLock()
ARN = "arn:aws:ecs:eu-central-1:123456789012:"
definitions, services, tasks, faults = {}, {}, {}, {"throttle": 0, "broken": 0, "late": 0}
calls, counter = [], [0]
# How long a task may take to get healthy, how many may fail, and the pause after the first one; it grows, as that of AWS.
PATIENCE, THRESHOLD, PAUSE = 10, 3, 0.5


class Refused(Exception):
    pass


def docker(method, path, body=None, **query):
    """Asks Docker by its own API: every half a second a program to do it would be half of the machine. What went wrong, or
    nothing; and the answer."""
    connection = http.client.HTTPConnection("docker")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(SOCKET)
    text = json.dumps(body) if body is not None else None
    path = "/v1.40%s?%s" % (path, urllib.parse.urlencode(query))
    connection.request(method, path, text, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    lines = [json.loads(line) for line in answer.read().splitlines() if line.strip()]
    connection.close()
    last = lines[-1] if lines else {}
    # A pull fails in the middle of its answer.
    why = last.get("message", "") if answer.status >= 400 else last.get("error", "")
    return why, last


def number():
    counter[0] += 1
    return "%032x" % counter[0]


def find_definition(name):
    name = name.split("/")[-1]
    family, _, revision = name.partition(":")
    known = definitions.get(family, [])
    for one in known:
        if not revision or str(one["revision"]) == revision:
            found = one if revision else known[-1]
            return found
    raise Refused("ClientException: Unable to describe task definition.")


def deployment(arn, desired):
    return {"id": "ecs-svc/" + number(), "status": "PRIMARY", "taskDefinition": arn, "desiredCount": desired,
            "pendingCount": 0, "runningCount": 0, "failedTasks": 0, "createdAt": time.time(), "updatedAt": time.time(),
            "launchType": "EC2", "rolloutState": "IN_PROGRESS", "rolloutStateReason": "in progress.", "next": 0}


def event(service, message):
    text = "(service %s) %s" % (service["serviceName"], message)
    service["events"].insert(0, {"id": number(), "createdAt": time.time(), "message": text})


def begin(service, arn):
    for one in service["deployments"]:
        if one["status"] == "PRIMARY":
            one["status"] = "ACTIVE"
    service["taskDefinition"] = arn
    service["deployments"].insert(0, deployment(arn, service["desiredCount"]))


def register(q):
    family = definitions.setdefault(q["family"], [])
    known = {"containerDefinitions", "family", "taskRoleArn", "executionRoleArn", "networkMode", "volumes", "cpu", "memory",
             "placementConstraints", "requiresCompatibilities", "tags", "runtimePlatform", "pidMode", "ipcMode"}
    if set(q) - known:
        raise Refused("ClientException: unknown: %s" % sorted(set(q) - known))
    new = dict(q, revision=len(family) + 1, status="ACTIVE", compatibilities=["EC2"], requiresAttributes=[],
               registeredAt=time.time(), registeredBy=ARN + "user/x")
    new["taskDefinitionArn"] = "%stask-definition/%s:%d" % (ARN, q["family"], new["revision"])
    new.setdefault("volumes", [])
    new.setdefault("placementConstraints", [])
    for one in new["containerDefinitions"]:
        one.setdefault("essential", True)
    family.append(new)
    return {"taskDefinition": new}


def create(q):
    arn = find_definition(q["taskDefinition"])["taskDefinitionArn"]
    name = q["serviceName"]
    service = {"serviceArn": ARN + "service/" + name, "serviceName": name, "status": "ACTIVE", "taskDefinition": arn,
               "desiredCount": q.get("desiredCount", 1), "deployments": [], "events": [],
               "deploymentController": q.get("deploymentController", {"type": "ECS"}),
               "deploymentConfiguration": q.get("deploymentConfiguration", {})}
    services[name] = service
    begin(service, arn)
    return {"service": shown(service)}


def named(q, field="service"):
    service = services.get(q[field].split("/")[-1])
    if service is None:
        raise Refused("ServiceNotFoundException: Service not found.")
    return service


def update(q):
    service = named(q)
    if "desiredCount" in q:
        service["desiredCount"] = q["desiredCount"]
    if "taskDefinition" in q or q.get("forceNewDeployment"):
        begin(service, find_definition(q.get("taskDefinition", service["taskDefinition"]))["taskDefinitionArn"])
    return {"service": shown(service)}


def shown(service):
    told = json.loads(json.dumps(service))
    for one in told["deployments"]:
        one.pop("next")
    return told


def describe(q):
    found = [services[n.split("/")[-1]] for n in q["services"] if n.split("/")[-1] in services]
    missing = [{"arn": n, "reason": "MISSING"} for n in q["services"] if n.split("/")[-1] not in services]
    return {"services": [shown(s) for s in found], "failures": missing}


def list_definitions(q):
    arns = [d["taskDefinitionArn"] for f, all in definitions.items() if f.startswith(q.get("familyPrefix", "")) for d in all]
    if q.get("sort") == "DESC":
        arns.reverse()
    return {"taskDefinitionArns": arns[: q.get("maxResults", 100)]}


def list_tasks(q):
    wanted = q.get("desiredStatus", "RUNNING")
    named(q, "serviceName")
    return {"taskArns": [t["taskArn"] for t in tasks.values() if t["desiredStatus"] == wanted and t["service"] == q["serviceName"]]}


def describe_tasks(q):
    fields = {"taskArn", "taskDefinitionArn", "lastStatus", "desiredStatus", "stoppedReason", "containers", "group"}
    found = [tasks[a] for a in q["tasks"] if a in tasks]
    return {"tasks": [{k: v for k, v in t.items() if k in fields} for t in found], "failures": []}


OPERATIONS = {"RegisterTaskDefinition": register, "CreateService": create, "UpdateService": update,
              "DescribeServices": describe, "ListTaskDefinitions": list_definitions, "ListTasks": list_tasks,
              "DescribeTasks": describe_tasks,
              "DescribeTaskDefinition": lambda q: {"taskDefinition": {k: v for k, v in find_definition(q["taskDefinition"]).items() if k != "tags"},
                                                   "tags": find_definition(q["taskDefinition"]).get("tags", [])}}


def steady():
    with LOCK:
        return all(s["deployments"][0]["rolloutState"] == "COMPLETED" for s in services.values())


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        while faults["late"] and "DescribeServices" in self.headers.get("X-Amz-Target", "") and not steady():
            time.sleep(0.05)
        with LOCK:
            if self.path == "/faults":
                faults.update(body)
                return self.answer(200, {"calls": calls})
            operation = self.headers["X-Amz-Target"].split(".")[-1]
            calls.append(operation)
            if faults["throttle"] > 0:
                faults["throttle"] -= 1
                return self.answer(400, {"__type": "ThrottlingException", "message": "Rate exceeded"})
            if faults["broken"] > 0:
                faults["broken"] -= 1
                return self.answer(500, {"__type": "ServerException", "message": "Something broke"})
            try:
                self.answer(200, OPERATIONS[operation](body))
            except Refused as why:
                kind, _, message = str(why).partition(": ")
                self.answer(400, {"__type": kind, "message": message})


def healthy(address):
    try:
        with urllib.request.urlopen("http://%s:8080/ready" % address, timeout=5) as got:
            return got.status == 200
    except OSError:
        return False


def stop(task, reason):
    task.update(desiredStatus="STOPPED", lastStatus="STOPPED", stoppedReason=reason)
    if task.get("id"):
        docker("DELETE", "/containers/" + task["id"], force="true")


def start(service, one):
    definition = find_definition(one["taskDefinition"])
    container = definition["containerDefinitions"][0]
    arn = ARN + "task/" + number()
    task = {"taskArn": arn, "service": service["serviceName"], "deployment": one["id"], "taskDefinitionArn": one["taskDefinition"],
            "group": "service:" + service["serviceName"], "lastStatus": "PENDING", "desiredStatus": "RUNNING",
            "containers": [{"name": container["name"], "image": container["image"]}]}
    with LOCK:
        tasks[arn] = task
    repository, _, tag = container["image"].rpartition("@" if "@" in container["image"] else ":")
    why, _ = docker("POST", "/images/create", fromImage=repository, tag=tag)
    if why:
        task["containers"][0]["reason"] = "CannotPullContainerError: " + why
        stop(task, "Task failed to start")
        return False
    variables = ["%s=%s" % (v["name"], v["value"]) for v in container.get("environment", [])]
    _, made = docker("POST", "/containers/create", {"Image": container["image"], "Env": variables})
    task["id"] = made["Id"]
    docker("POST", "/containers/%s/start" % task["id"])
    task["begun"] = time.time()
    _, image = docker("GET", "/images/%s/json" % container["image"])
    task["containers"][0]["imageDigest"] = image["RepoDigests"][0].split("@")[1]
    return True


def look_at(task):
    """Whether it is healthy; None while nobody knows."""
    _, told = docker("GET", "/containers/%s/json" % task["id"])
    if not told["State"]["Running"]:
        task["containers"][0]["exitCode"] = told["State"]["ExitCode"]
        stop(task, "Essential container in task exited")
        return False
    task["lastStatus"] = "RUNNING"
    if healthy(told["NetworkSettings"]["IPAddress"]):
        return True
    if task.get("healthy") or time.time() - task["begun"] > PATIENCE:
        stop(task, "Task failed container health checks")
        return False
    return None


def reconcile(service):
    with LOCK:
        one = service["deployments"][0]
        if one["rolloutState"] == "FAILED":
            return
        own = [t for t in tasks.values() if t["deployment"] == one["id"] and t["desiredStatus"] == "RUNNING"]
    for task in own:
        was = look_at(task)
        task["healthy"] = was
        if was is False:
            one["failedTasks"] += 1
            one["next"] = time.time() + PAUSE * one["failedTasks"]
    own = [t for t in own if t["desiredStatus"] == "RUNNING"]
    if len(own) < one["desiredCount"] and time.time() >= one["next"]:
        if not start(service, one):
            one["failedTasks"] += 1
            one["next"] = time.time() + PAUSE * one["failedTasks"]
    with LOCK:
        if service["deployments"][0] is not one:
            return
        one["runningCount"] = len([t for t in own if t["lastStatus"] == "RUNNING"])
        if len([t for t in own if t["healthy"]]) >= one["desiredCount"]:
            for task in list(tasks.values()):
                if task["service"] == service["serviceName"] and task["deployment"] != one["id"] and task["desiredStatus"] == "RUNNING":
                    stop(task, "Scaling activity initiated by deployment")
            del service["deployments"][1:]
            if one["rolloutState"] != "COMPLETED":
                one.update(rolloutState="COMPLETED", rolloutStateReason="ECS deployment completed.")
                event(service, "has reached a steady state.")
            service["good"] = one["taskDefinition"]
            return
        breaker = service["deploymentConfiguration"].get("deploymentCircuitBreaker", {})
        if one["failedTasks"] >= THRESHOLD and breaker.get("enable"):
            one.update(rolloutState="FAILED", rolloutStateReason="ECS deployment circuit breaker: tasks failed to start.")
            event(service, "(deployment %s) deployment failed: tasks failed to start." % one["id"])
            if breaker.get("rollback") and service.get("good"):
                event(service, "rolling back to %s." % service["good"])
                begin(service, service["good"])


def work():
    while True:
        for service in list(services.values()):
            reconcile(service)
        time.sleep(0.2)


threading.Thread(target=work, daemon=True).start()
http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
