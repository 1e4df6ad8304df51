//! Names that the API server will take.

/// `<job>-<type>-<index>`, or `<job>-<type>` for a type with a single replica: of a pod and of its service.
pub fn replica(job: &str, replica_type: &str, index: Option<u32>) -> String {
    let name = match index {
        Some(index) => format!("{job}-{}-{index}", replica_type.to_lowercase()),
        None => format!("{job}-{}", replica_type.to_lowercase()),
    };
    name.replace('/', "-")
}

/// What is wrong with a name as a label of RFC 1035, in the words of Kubernetes.
///
/// <https://github.com/kubernetes/apimachinery/blob/v0.34.4/pkg/util/validation/validation.go>
pub fn dns_1035_problems(name: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if name.len() > MAX_LABEL {
        problems.push(format!("must be no more than {MAX_LABEL} characters"));
    }
    let starts = name.starts_with(|first: char| first.is_ascii_lowercase());
    if !starts || name.ends_with('-') || !name.chars().all(|each| matches!(each, 'a'..='z' | '0'..='9' | '-')) {
        problems.push(DNS_1035.to_owned());
    }
    problems
}

/// Whether it is a DNS label (RFC 1123): what containers may be called.
pub fn is_dns_label(name: &str) -> bool {
    name.len() <= MAX_LABEL && is_part(name)
}

/// Whether it is a DNS subdomain (RFC 1123): what pods and most objects may be called. For Kubernetes its parts may be of any
/// length.
pub fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= MAX_SUBDOMAIN && name.split('.').all(is_part)
}

fn is_part(part: &str) -> bool {
    let allowed = |each: char| matches!(each, 'a'..='z' | '0'..='9' | '-');
    !part.is_empty() && part.chars().all(allowed) && !part.starts_with('-') && !part.ends_with('-')
}

/// The longest label of a DNS name, in bytes.
pub const MAX_LABEL: usize = 63;
/// The longest DNS name of an object, in bytes.
const MAX_SUBDOMAIN: usize = 253;

const DNS_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_replicas() {
        assert_eq!(replica("train", "Worker", Some(1)), "train-worker-1");
        assert_eq!(replica("train", "Launcher", None), "train-launcher");
        assert_eq!(replica("1/2", "WORKER", Some(1)), "1-2-worker-1", "v1 replaces the slash");
    }

    #[test]
    fn labels_of_rfc_1035() {
        let long = "a".repeat(64);
        for (name, problems) in [
            ("train", vec![]),
            ("a-1", vec![]),
            ("0-train", vec![DNS_1035.to_owned()]),
            ("train-", vec![DNS_1035.to_owned()]),
            ("Train", vec![DNS_1035.to_owned()]),
            ("", vec![DNS_1035.to_owned()]),
            (&long, vec!["must be no more than 63 characters".to_owned()]),
        ] {
            assert_eq!(dns_1035_problems(name), problems, "{name}");
        }
    }
}
