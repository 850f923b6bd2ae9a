//! Bodies as kubectl sent them, and bodies that nobody sends.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{super::catalog, MAGIC, ProtobufError, decode};

/// `kubectl` commands (client 1.32), the bytes each of them sent, and the object that they mean.
#[rustfmt::skip]
const SENT: &[(&str, &str, &str)] = &[
    (
        "create namespace prod",
        "6b3873000a0f0a02763112094e616d657370616365121c0a140a0470726f6412001a0022002a0032003800420012001a020a001a002200",
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"prod"},"spec":{},"status":{}}"#,
    ),
    (
        "create configmap cm --from-literal=a=b --from-literal=c=",
        "6b3873000a0f0a0276311209436f6e6669674d617012230a120a02636d12001a0022002a0032003800420012060a016112016212050a016312001a002200",
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"cm"},"data":{"a":"b","c":""}}"#,
    ),
    (
        "create secret generic s --from-literal=k=v",
        "6b3873000a0c0a0276311206536563726574121d0a110a017312001a0022002a0032003800420012060a016b1201761a001a002200",
        r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"k":"dg=="}}"#,
    ),
    (
        "create serviceaccount robot",
        "6b3873000a140a027631120e536572766963654163636f756e7412170a150a05726f626f7412001a0022002a003200380042001a002200",
        r#"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"robot"}}"#,
    ),
    (
        "create deployment web --image=nginx:1.27 --replicas=0 --port=80",
        "6b3873000a150a07617070732f7631120a4465706c6f796d656e7412bd010a1f0a0377656212001a0022002a003200380042005a0a0a036170701203776562128b010800120c0a0a0a0361707012037765621a710a1c0a0012001a0022002a003200380042005a0a0a036170701203776562125112330a056e67696e78120a6e67696e783a312e32372a00320a0a001000185022002a0042006a007200800100880100900100a201001a00320042004a0052005800600068008201008a01009a0100c2010022020a00280038001a0c0800100018002000280038001a002200",
        r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","labels":{"app":"web"}},"spec":{"replicas":0,"selector":{"matchLabels":{"app":"web"}},"strategy":{},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"nginx","image":"nginx:1.27","ports":[{"containerPort":80}],"resources":{}}]}}},"status":{}}"#,
    ),
    (
        "create service clusterip web --tcp=80:8080",
        "6b3873000a0d0a02763112075365727669636512690a1f0a0377656212001a0022002a003200380042005a0a0a03617070120377656212420a1b0a0738302d38303830120354435018502207080010903f1a002800120a0a0361707012037765621a002209436c757374657249503a00420052005a00600068001a020a001a002200",
        r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","labels":{"app":"web"}},"spec":{"type":"ClusterIP","selector":{"app":"web"},"ports":[{"name":"80-8080","protocol":"TCP","port":80,"targetPort":8080}]},"status":{"loadBalancer":{}}}"#,
    ),
    (
        "create service nodeport np --tcp=80:http --node-port=30080",
        "6b3873000a0d0a027631120753657276696365126a0a1d0a026e7012001a0022002a003200380042005a090a0361707012026e7012450a200a0738302d6874747012035443501850220a080110001a04687474702880eb0112090a0361707012026e701a0022084e6f6465506f72743a00420052005a00600068001a020a001a002200",
        r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"np","labels":{"app":"np"}},"spec":{"type":"NodePort","selector":{"app":"np"},"ports":[{"name":"80-http","protocol":"TCP","port":80,"targetPort":"http","nodePort":30080}]},"status":{"loadBalancer":{}}}"#,
    ),
    (
        "create service externalname ext --external-name=example.com",
        "6b3873000a0d0a027631120753657276696365125a0a1f0a0365787412001a0022002a003200380042005a0a0a0361707012036578741233120a0a0361707012036578741a00220c45787465726e616c4e616d653a004200520b6578616d706c652e636f6d5a00600068001a020a001a002200",
        r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"ext","labels":{"app":"ext"}},"spec":{"type":"ExternalName","externalName":"example.com","selector":{"app":"ext"}},"status":{"loadBalancer":{}}}"#,
    ),
    (
        "create role reader --verb=get,list --resource=pods,services",
        "6b3873000a240a1c726261632e617574686f72697a6174696f6e2e6b38732e696f2f76311204526f6c6512370a160a0672656164657212001a0022002a00320038004200121d0a036765740a046c69737412001a04706f64731a0873657276696365731a002200",
        r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"reader"},"rules":[{"verbs":["get","list"],"apiGroups":[""],"resources":["pods","services"]}]}"#,
    ),
    (
        "create clusterrole cr --verb=get --non-resource-url=/healthz",
        "6b3873000a2b0a1c726261632e617574686f72697a6174696f6e2e6b38732e696f2f7631120b436c7573746572526f6c6512250a120a02637212001a0022002a00320038004200120f0a036765742a082f6865616c74687a1a002200",
        r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"cr"},"rules":[{"verbs":["get"],"nonResourceURLs":["/healthz"]}]}"#,
    ),
    (
        "create rolebinding rb --role=reader --user=ann --serviceaccount=default:robot --group=dev",
        "6b3873000a2b0a1c726261632e617574686f72697a6174696f6e2e6b38732e696f2f7631120b526f6c6542696e64696e6712b8010a120a02726212001a0022002a0032003800420012280a04557365721219726261632e617574686f72697a6174696f6e2e6b38732e696f1a03616e6e220012290a0547726f75701219726261632e617574686f72697a6174696f6e2e6b38732e696f1a03646576220012220a0e536572766963654163636f756e7412001a05726f626f74220764656661756c741a290a19726261632e617574686f72697a6174696f6e2e6b38732e696f1204526f6c651a067265616465721a002200",
        r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"rb"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"reader"},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"ann"},{"kind":"Group","apiGroup":"rbac.authorization.k8s.io","name":"dev"},{"kind":"ServiceAccount","name":"robot","namespace":"default"}]}"#,
    ),
    (
        "create clusterrolebinding crb --clusterrole=cr --group=ops",
        "6b3873000a320a1c726261632e617574686f72697a6174696f6e2e6b38732e696f2f76311212436c7573746572526f6c6542696e64696e67126e0a130a0363726212001a0022002a0032003800420012290a0547726f75701219726261632e617574686f72697a6174696f6e2e6b38732e696f1a036f707322001a2c0a19726261632e617574686f72697a6174696f6e2e6b38732e696f120b436c7573746572526f6c651a0263721a002200",
        r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"crb"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cr"},"subjects":[{"kind":"Group","apiGroup":"rbac.authorization.k8s.io","name":"ops"}]}"#,
    ),
    (
        "create quota q --hard=pods=5,requests.cpu=500m",
        "6b3873000a130a027631120d5265736f7572636551756f7461123c0a110a017112001a0022002a0032003800420012250a0b0a04706f647312030a01350a160a0c72657175657374732e63707512060a043530306d1a001a002200",
        r#"{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"pods":"5","requests.cpu":"500m"}},"status":{}}"#,
    ),
    (
        "create poddisruptionbudget pdb --min-available=50% --selector=app=web",
        "6b3873000a200a09706f6c6963792f76311213506f6444697372757074696f6e427564676574123c0a130a0370646212001a0022002a0032003800420012190a09080110001a03353025120c0a0a0a0361707012037765621a0a080018002000280030001a002200",
        r#"{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"pdb"},"spec":{"minAvailable":"50%","selector":{"matchLabels":{"app":"web"}}},"status":{"disruptionsAllowed":0,"currentHealthy":0,"desiredHealthy":0,"expectedPods":0}}"#,
    ),
    (
        "create priorityclass high --value=1000 --description=important",
        "6b3873000a250a147363686564756c696e672e6b38732e696f2f7631120d5072696f72697479436c617373123c0a140a046869676812001a0022002a0032003800420010e80718002209696d706f7274616e742a14507265656d70744c6f7765725072696f726974791a002200",
        r#"{"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"high"},"value":1000,"description":"important","preemptionPolicy":"PreemptLowerPriority"}"#,
    ),
    (
        "create job once --image=busybox -- echo hi",
        "6b3873000a0f0a0862617463682f763112034a6f621288010a140a046f6e636512001a0022002a00320038004200126632640a100a0012001a0022002a003200380042001250122d0a046f6e6365120762757379626f781a046563686f1a0268692a0042006a007200800100880100900100a201001a054e65766572320042004a0052005800600068008201008a01009a0100c201001a082000280030003a001a002200",
        r#"{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"once"},"spec":{"template":{"metadata":{},"spec":{"restartPolicy":"Never","containers":[{"name":"once","image":"busybox","command":["echo","hi"],"resources":{}}]}}},"status":{}}"#,
    ),
    (
        "create cronjob tick --image=busybox --schedule=*/5 * * * *",
        "6b3873000a130a0862617463682f7631120743726f6e4a6f6212a4010a140a047469636b12001a0022002a003200380042001289010a0b2a2f35202a202a202a202a1a002a780a140a047469636b12001a0022002a003200380042001260325e0a100a0012001a0022002a00320038004200124a12230a047469636b120762757379626f782a0042006a007200800100880100900100a201001a094f6e4661696c757265320042004a0052005800600068008201008a01009a0100c201001a001a002200",
        r#"{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"tick"},"spec":{"schedule":"*/5 * * * *","jobTemplate":{"metadata":{"name":"tick"},"spec":{"template":{"metadata":{},"spec":{"restartPolicy":"OnFailure","containers":[{"name":"tick","image":"busybox","resources":{}}]}}}}},"status":{}}"#,
    ),
    (
        "create ingress ing --rule=foo.com/bar=svc:8080,tls=cert",
        "6b3873000a1f0a146e6574776f726b696e672e6b38732e696f2f76311207496e6772657373125a0a130a03696e6712001a0022002a00320038004200123f120f0a07666f6f2e636f6d1204636572741a2c0a07666f6f2e636f6d12210a1f0a1d0a042f626172120e220c0a0373766312050a0010903f1a0545786163741a020a001a002200",
        r#"{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"ing"},"spec":{"tls":[{"hosts":["foo.com"],"secretName":"cert"}],"rules":[{"host":"foo.com","http":{"paths":[{"path":"/bar","pathType":"Exact","backend":{"service":{"name":"svc","port":{"number":8080}}}}]}}]},"status":{"loadBalancer":{}}}"#,
    ),
    (
        "auth can-i create pods",
        "6b3873000a320a17617574686f72697a6174696f6e2e6b38732e696f2f7631121753656c665375626a656374416363657373526576696577123f0a100a0012001a0022002a0032003800420012210a1f0a0764656661756c7412066372656174651a0022002a04706f647332003a001a08080012001a0020001a002200",
        r#"{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","metadata":{},"spec":{"resourceAttributes":{"namespace":"default","verb":"create","resource":"pods"}},"status":{"allowed":false}}"#,
    ),
    (
        "auth whoami",
        "6b3873000a2d0a1861757468656e7469636174696f6e2e6b38732e696f2f7631121153656c665375626a656374526576696577121a0a100a0012001a0022002a0032003800420012060a040a0012001a002200",
        r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview","metadata":{},"status":{"userInfo":{}}}"#,
    ),
];

#[test]
fn what_kubectl_sends_is_read() {
    for (command, bytes, object) in SENT {
        let object: Value = serde_json::from_str(object).unwrap();
        assert_eq!(decode(&hex::decode(bytes).unwrap()), Ok(object), "{command}");
    }
}

/// An envelope around the message of a kind.
fn envelope(api_version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
    let mut type_meta = field(1, api_version.as_bytes());
    type_meta.extend(field(2, kind.as_bytes()));
    let mut body = MAGIC.to_vec();
    body.extend(field(1, &type_meta));
    body.extend(field(2, message));
    body
}

/// A field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 127 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(bytes);
    out
}

#[test]
fn options_of_deletion_belong_to_every_group() {
    let message = [&[0x08, 0x1e][..], &field(4, b"Foreground"), &field(5, b"All")].concat();
    for api_version in ["v1", "apps/v1"] {
        assert_eq!(
            decode(&envelope(api_version, "DeleteOptions", &message)),
            Ok(json!({
                "apiVersion": api_version, "kind": "DeleteOptions", "gracePeriodSeconds": 30,
                "propagationPolicy": "Foreground", "dryRun": ["All"],
            }))
        );
    }
}

#[test]
fn times_numbers_and_unknown_fields_are_read() {
    let time =
        [&[0x08][..], &[0xa8, 0xa5, 0xc5, 0xc7, 0x06], &[0x10, 0x80, 0xca, 0xb5, 0xee, 0x01]]
            .concat();
    let spec = [
        field(1, b"me"),
        vec![0x10, 15],
        field(4, &time),
        // Transitions minus one, as ten bytes; field 15 is not known.
        vec![0x28, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        field(15, b"later"),
    ]
    .concat();
    let lease = decode(&envelope("coordination.k8s.io/v1", "Lease", &field(2, &spec))).unwrap();
    assert_eq!(
        lease["spec"],
        json!({"holderIdentity": "me", "leaseDurationSeconds": 15, "leaseTransitions": -1,
               "renewTime": "2025-10-16T20:16:40.500000Z"})
    );
}

#[test]
fn pods_are_read() {
    // As a client sends one that binds port 80 of a container and tolerates everything.
    let port = [vec![0x18, 80], field(4, b"TCP")].concat();
    let container = [field(1, b"c"), field(2, b"nginx"), field(6, &port)].concat();
    let mut spec = field(2, &container);
    // Field 22 takes two bytes.
    let toleration = field(2, b"Exists");
    spec.extend([0xb2, 0x01, toleration.len() as u8]);
    spec.extend(toleration);
    let pod = [field(1, &field(1, b"a")), field(2, &spec)].concat();
    assert_eq!(
        decode(&envelope("v1", "Pod", &pod)).unwrap(),
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "status": {},
            "spec": {
                "containers": [{"name": "c", "image": "nginx", "resources": {},
                                "ports": [{"containerPort": 80, "protocol": "TCP"}]}],
                "tolerations": [{"operator": "Exists"}],
            },
        })
    );
    let eviction = field(1, &field(1, b"a"));
    assert_eq!(
        decode(&envelope("policy/v1", "Eviction", &eviction)).unwrap()["metadata"]["name"],
        "a"
    );
}

#[test]
fn bad_bodies_are_refused() {
    let unknown = ProtobufError::UnknownKind { api_version: "v1".into(), kind: "Widget".into() };
    let table = [
        (b"{}".to_vec(), ProtobufError::NoEnvelope),
        (envelope("v1", "Widget", b""), unknown),
        (
            envelope("v1", "ConfigMap", &[0x0a, 0x7f]),
            ProtobufError::Malformed("unexpected end of the message"),
        ),
        (
            envelope("v1", "ConfigMap", &[0x08, 0x01]),
            ProtobufError::Malformed("a field has the wrong wire type"),
        ),
        (
            envelope("v1", "ConfigMap", &[0x0b]),
            ProtobufError::Malformed("a field has an unknown wire type"),
        ),
        (
            envelope("v1", "ConfigMap", &field(1, &field(1, b"\xff"))),
            ProtobufError::Malformed("a text is not UTF-8"),
        ),
    ];
    for (body, error) in table {
        assert_eq!(decode(&body), Err(error), "{body:?}");
    }
}

#[test]
fn schemas_of_definitions_are_read() {
    // Field numbers above 15 take two bytes.
    let schema = {
        let properties = [field(1, b"a"), field(2, &field(5, b"string"))].concat();
        let mut out = field(5, b"object");
        out.extend([0xea, 0x01, properties.len() as u8]);
        out.extend(properties);
        out
    };
    let version = [field(1, b"v1"), vec![0x10, 1, 0x18, 1], field(4, &field(1, &schema))].concat();
    let spec = [field(1, b"example.com"), field(7, &version)].concat();
    let crd =
        decode(&envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", &field(2, &spec)))
            .unwrap();
    assert_eq!(
        crd.pointer("/spec/versions/0/schema/openAPIV3Schema"),
        Some(&json!({"type": "object", "properties": {"a": {"type": "string"}}}))
    );
}

proptest! {
    #![proptest_config(crate::properties::config())]

    #[test]
    fn any_bytes_are_read_without_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0_usize..30, at in any::<prop::sample::Index>(),
        command in 0..SENT.len(),
    ) {
        let _ = decode(&bytes);
        let catalog = catalog();
        let definition = &catalog[kind % catalog.len()];
        let _ = decode(&envelope(&definition.api_version(), &definition.kind, &bytes));
        // What was sent, with some bytes replaced.
        let mut sent = hex::decode(SENT[command].1).unwrap();
        let from = at.index(sent.len());
        for (place, byte) in sent[from..].iter_mut().zip(bytes.iter().take(3)) {
            *place = *byte;
        }
        let _ = decode(&sent);
    }
}
