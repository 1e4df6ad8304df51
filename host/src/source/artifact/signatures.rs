//! Finds the signature that is wanted among all that is beside an artifact: others', damaged, of other kinds, or in lists of
//! which a mirror has an old copy. What cannot be used hides nothing that can.

use super::super::manifest::{Descriptor, LARGEST, Manifest};
use super::super::signature::{self, MOST, Policy, SignatureError, Signed};
use super::super::{Fault, Reference, Version};
use super::{Fetch, Wanted};
use crate::plugin::Digest;

/// The config of artifacts without one; in lists that clients keep themselves it stands for the type of the artifact.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// What has been found in one place.
struct Search<'a> {
    policy: &'a Policy,
    manifest: Digest,
    /// Signed, but not what is wanted.
    others: Vec<Signed>,
    /// How many more are looked at.
    left: usize,
    trouble: Option<Fault>,
}

impl Fetch<'_> {
    /// Looks for a good signature: here, and only if there is none in the registry and its mirrors, as it may be new.
    /// Answers which list it was in.
    pub(super) async fn signature(
        &mut self,
        reference: &Reference,
        manifest: Digest,
        policy: &Policy,
    ) -> Result<(Reference, Digest), Fault> {
        let tag = signature::tag(manifest);
        let by_tag = reference.at(Version::Tag(tag.clone()));
        let bundles = reference.at(Version::Tag(signature::referrers_tag(manifest)));
        for place in [&by_tag, &bundles] {
            if let Some((digest, list)) = self.remembered(place).await
                && self.is_signed(&mut Search::new(policy, manifest), place, &list).await
            {
                return Ok((place.clone(), digest));
            }
        }
        let lists = [
            (&by_tag, Wanted::Manifest(by_tag.version())),
            (&bundles, Wanted::Referrers(manifest)),
            // Of registries that do not keep the list, or did not when it was signed.
            (&bundles, Wanted::Manifest(bundles.version())),
        ];
        let mut search = Search::new(policy, manifest);
        for (session, left) in self.sessions.iter().zip((1..=self.sessions.len()).rev()) {
            // As with all else the registry itself, the last one, has the last word.
            search = Search::new(policy, manifest);
            for (place, wanted) in lists {
                match self.ask_one(session, left, wanted).await {
                    Ok(list) => {
                        let digest = Digest::of(&list);
                        let list = self.keep(digest, list).await;
                        if self.is_signed(&mut search, place, &list).await {
                            return Ok((place.clone(), digest));
                        }
                    }
                    Err(Fault::NotFound(_)) => {}
                    Err(fault) => search.fails(fault),
                }
            }
        }
        Err(search.verdict(tag))
    }

    /// Whether one of the signatures in a list is good: its own layers, or those of the bundles that it lists.
    async fn is_signed(&mut self, search: &mut Search<'_>, place: &Reference, list: &[u8]) -> bool {
        let Manifest { layers, manifests, .. } = match Manifest::parse(list) {
            Ok(list) => list,
            Err(fault) => {
                search.fails(fault);
                return false;
            }
        };
        if self.is_one_good(search, &layers).await {
            return true;
        }
        for listed in bundles(&manifests) {
            match self.listed(place, listed).await {
                Ok(bundle) if self.is_one_good(search, &bundle.layers).await => return true,
                Ok(_) => {}
                Err(fault) => search.fails(fault),
            }
        }
        false
    }

    async fn is_one_good(&mut self, search: &mut Search<'_>, layers: &[Descriptor]) -> bool {
        let is_signature = |layer: &&Descriptor| {
            layer.media_type == signature::PAYLOAD || layer.media_type.starts_with(signature::BUNDLE)
        };
        for layer in layers.iter().filter(is_signature) {
            if search.left == 0 {
                return false;
            }
            search.left -= 1;
            match self.signed(layer).await {
                Ok(Some(signed)) if search.is_wanted(&signed) => return true,
                Ok(signed) => search.others.extend(signed),
                Err(fault) => search.fails(fault),
            }
        }
        false
    }

    async fn listed(&mut self, place: &Reference, listed: &Descriptor) -> Result<Manifest, Fault> {
        let digest = listed.blob("a bundle", LARGEST)?.digest;
        let found = self.manifest(&place.at(Version::Digest(digest))).await?;
        Manifest::parse(&found.bytes)
    }

    async fn signed(&mut self, layer: &Descriptor) -> Result<Option<Signed>, Fault> {
        let blob = layer.blob("a signature", signature::LARGEST)?;
        let bytes = self.blob(blob, Wanted::Signature(blob)).await?;
        Ok(match layer.annotations.get(signature::ANNOTATION) {
            Some(signature) => Signed::of_payload(bytes, signature),
            None => Signed::of_bundle(&bytes),
        })
    }
}

impl<'a> Search<'a> {
    fn new(policy: &'a Policy, manifest: Digest) -> Self {
        Self { policy, manifest, others: Vec::new(), left: MOST, trouble: None }
    }

    fn is_wanted(&self, signed: &Signed) -> bool {
        signature::check(self.policy, std::slice::from_ref(signed), self.manifest).is_ok()
    }

    /// Of several faults the first that may pass is told, for then it is worth to look again.
    fn fails(&mut self, fault: Fault) {
        if self.trouble.as_ref().is_none_or(|known| fault.is_passing() && !known.is_passing()) {
            self.trouble = Some(fault);
        }
    }

    /// Why it is not signed. What could not be read may have been the good one.
    fn verdict(self, tag: String) -> Fault {
        let error = match (self.trouble, signature::check(self.policy, &self.others, self.manifest)) {
            (Some(fault), _) if fault.is_passing() => return fault,
            (_, Err(error)) if !self.others.is_empty() => error,
            (Some(fault), _) => SignatureError::Unreadable(fault.to_string()),
            (None, _) => SignatureError::Unsigned { tag },
        };
        error.into()
    }
}

/// Those that say that they are bundles, then those that do not say what they are.
fn bundles(listed: &[Descriptor]) -> impl Iterator<Item = &Descriptor> {
    let is_bundle = |each: &&Descriptor| each.artifact_type.starts_with(signature::BUNDLE);
    let is_unclear = |each: &&Descriptor| matches!(&*each.artifact_type, "" | EMPTY);
    listed.iter().filter(is_bundle).chain(listed.iter().filter(is_unclear)).take(MOST)
}
