//! `$(NAME)` in commands, arguments and values, as kubelet completes it.

/// Replaces references to known names; unknown ones stay as they are, `$$` is a dollar sign.
///
/// <https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/>
pub(super) fn expand(text: &str, value_of: impl Fn(&str) -> Option<String>) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        done.push_str(before);
        let reference = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        rest = match (reference, after.strip_prefix('$')) {
            (Some((name, after)), _) => {
                done.push_str(&value_of(name).unwrap_or_else(|| format!("$({name})")));
                after
            }
            (None, Some(after)) => {
                done.push('$');
                after
            }
            (None, None) => {
                done.push('$');
                after
            }
        };
    }
    done + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_completed_as_kubelet_does() {
        for (text, expected) in [
            ("plain", "plain"),
            ("$(A)", "1"),
            ("x$(A)y$(B)z", "x1y2z"),
            ("$(A)$(A)", "11"),
            ("$(UNKNOWN)", "$(UNKNOWN)"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$$$$(A)", "$$(A)"),
            ("$A ${A}", "$A ${A}"),
            ("$(A", "$(A"),
            ("$(A$(B)", "$(A$(B)"),
            ("$()", "$()"),
            ("cost: 5$", "cost: 5$"),
            ("$$", "$"),
            ("$(NESTED)", "$(A)"),
            ("ä$(A)ö", "ä1ö"),
        ] {
            let known = [("A", "1"), ("B", "2"), ("NESTED", "$(A)")];
            let value_of =
                |name: &str| known.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(expand(text, value_of), expected, "{text}");
        }
    }
}
