//! Manifests, tags and what is about a manifest. Bytes go and come as they are.

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, LINK};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::Repository;
use super::request::Call;
use super::trouble::{Trouble, Why};
use crate::oci::{Descriptor, Digest, Manifest, media};

/// How many pages of a list are read.
const PAGES: usize = 1000;
/// How often a list that several change is written again.
const RACES: usize = 5;

impl Repository {
    /// A manifest, by tag or by digest; `None` where there is none.
    ///
    /// # Errors
    /// What the registry says, or that it gave something else.
    pub async fn manifest(&self, reference: &str) -> Result<Option<Manifest>, Trouble> {
        let doing = format!("getting the manifest {} of {}", shown(reference), self.name);
        let url = self.url(&format!("manifests/{reference}"));
        // Without the right type a registry makes another manifest, with another digest.
        let call = Call::new(Method::GET, url, self.scope("pull"), doing)
            .header(ACCEPT, &media::MANIFESTS.join(", "));
        let (_, headers, bytes) = match self.registry.ask_short(&call).await {
            Ok(answer) => answer,
            Err(e) if e.is_missing() => return Ok(None),
            Err(e) => return Err(e),
        };
        let failed = |why| self.trouble(&call.doing, why);
        let kind = headers.get(CONTENT_TYPE).and_then(|t| t.to_str().ok());
        let came = Digest::of(&bytes);
        let said = match reference.parse::<Digest>() {
            Ok(wanted) => Some(wanted),
            Err(_) => digest_in(&headers),
        };
        if let Some(said) = said.filter(|s| *s != came) {
            let why = format!("what came is {}, not {}", came.short(), said.short());
            return Err(failed(Why::Damaged(why)));
        }
        match Manifest::read(bytes, kind) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(e) => Err(failed(Why::Nonsense(e.to_string()))),
        }
    }

    /// Puts a manifest there, under a tag, or under its digest alone. Everything that it names has to be there.
    ///
    /// # Errors
    /// What the registry says, or that it took it for something else.
    pub async fn put_manifest(
        &self,
        manifest: &Manifest,
        tag: Option<&str>,
    ) -> Result<(), Trouble> {
        let digest = manifest.digest();
        let reference = tag.map_or_else(|| digest.to_string(), str::to_owned);
        let doing = format!(
            "putting the manifest {} into {}",
            shown(&reference),
            self.name
        );
        let url = self.url(&format!("manifests/{reference}"));
        let call = Call::new(Method::PUT, url, self.scope("pull,push"), doing)
            .header(CONTENT_TYPE, manifest.media_type())
            .body(Bytes::copy_from_slice(manifest.bytes()));
        let answer = self.registry.ask(&call).await?;
        let took = digest_in(answer.headers());
        if let Some(took) = took.filter(|t| *t != digest) {
            let why = format!("it took {} for {}", digest.short(), took.short());
            return Err(self.trouble(&call.doing, Why::Damaged(why)));
        }
        let Some(subject) = manifest.subject() else {
            return Ok(());
        };
        // A registry that keeps the lists itself says so here.
        if answer.headers().contains_key("oci-subject") {
            return Ok(());
        }
        self.list_referrer(&subject.digest, &manifest.descriptor())
            .await
    }

    /// Removes a manifest, and with it all its tags.
    ///
    /// # Errors
    /// What the registry says; that it is not there is no error.
    pub async fn delete(&self, digest: &Digest) -> Result<(), Trouble> {
        let doing = format!("deleting {} from {}", digest.short(), self.name);
        let url = self.url(&format!("manifests/{digest}"));
        let call = Call::new(Method::DELETE, url, self.scope("pull,push,delete"), doing);
        match self.registry.ask(&call).await {
            Err(e) if !e.is_missing() => Err(e),
            _ => Ok(()),
        }
    }

    /// All tags, in the registry's order; none where there is no such repository.
    ///
    /// # Errors
    /// What the registry says.
    pub async fn tags(&self) -> Result<Vec<String>, Trouble> {
        let doing = format!("listing the tags of {}", self.name);
        let mut url = self.url("tags/list");
        url.query_pairs_mut().append_pair("n", "1000");
        let pages = self.pages(url, &doing, |page| {
            let tags = page["tags"].as_array().into_iter().flatten();
            tags.filter_map(|t| Some(t.as_str()?.to_owned())).collect()
        });
        Ok(pages.await?.unwrap_or_default())
    }

    /// The manifests that are about another one, such as signatures.
    ///
    /// # Errors
    /// What the registry says.
    pub async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Trouble> {
        let doing = format!("asking what is about {} in {}", subject.short(), self.name);
        let url = self.url(&format!("referrers/{subject}"));
        let listed = self.pages(url, &doing, descriptors).await;
        match listed {
            Ok(Some(listed)) => Ok(listed),
            // It knows no such lists: then there is one under a tag, of the distribution-spec's tag schema.
            Ok(None) => Ok(self.listed_referrers(subject).await?.1),
            Err(e) if e.is_unsupported() => Ok(self.listed_referrers(subject).await?.1),
            Err(e) => Err(e),
        }
    }

    /// All entries of a list, page by page; `None` where there is no such list.
    async fn pages<T>(
        &self,
        first: Url,
        doing: &str,
        read: impl Fn(&Value) -> Vec<T>,
    ) -> Result<Option<Vec<T>>, Trouble> {
        let mut found = Vec::new();
        let mut next = Some(first);
        for page in 0..PAGES {
            let Some(url) = next else { break };
            let call = Call::new(Method::GET, url, self.scope("pull"), doing.to_owned());
            let (_, headers, body) = match self.registry.ask_short(&call).await {
                Ok(answer) => answer,
                Err(e) if e.is_missing() && page == 0 => return Ok(None),
                Err(e) => return Err(e),
            };
            let document: Value = serde_json::from_slice(&body)
                .map_err(|_| self.trouble(doing, Why::Nonsense("its answer is no JSON".into())))?;
            found.extend(read(&document));
            next = next_page(&headers, &call.url);
            // A list goes on where it began: elsewhere nobody knows who asks.
            next = next.filter(|n| n.origin() == call.url.origin() && *n != call.url);
        }
        Ok(Some(found))
    }

    /// The list of the tag schema, as it is there, and what it names.
    async fn listed_referrers(
        &self,
        subject: &Digest,
    ) -> Result<(Option<Manifest>, Vec<Descriptor>), Trouble> {
        let list = self.manifest(&fallback_tag(subject)).await?;
        let listed = list.as_ref().map_or(Vec::new(), |l| l.manifests().to_vec());
        Ok((list, listed))
    }

    /// Adds to the list of the tag schema. A registry cannot say that somebody else changed it meanwhile: it is read again.
    async fn list_referrer(&self, subject: &Digest, own: &Descriptor) -> Result<(), Trouble> {
        for _ in 0..RACES {
            let (_, mut listed) = self.listed_referrers(subject).await?;
            if listed.iter().any(|d| d.digest == own.digest) {
                return Ok(());
            }
            listed.push(own.clone());
            let document = json!({
                "schemaVersion": 2, "mediaType": media::INDEX, "manifests": listed,
            });
            let bytes = document.to_string().into_bytes();
            let list = Manifest::read(bytes, None).map_err(|e| {
                self.trouble(
                    "listing what is about an image",
                    Why::Nonsense(e.to_string()),
                )
            })?;
            Box::pin(self.put_manifest(&list, Some(&fallback_tag(subject)))).await?;
        }
        let doing = format!("listing what is about {}", subject.short());
        let why = "others change the list all the time".to_owned();
        Err(self.trouble(&doing, Why::Broken(why)))
    }

    pub(super) fn trouble(&self, doing: &str, why: Why) -> Trouble {
        Trouble {
            host: self.registry.host.clone(),
            doing: doing.to_owned(),
            why,
            tries: 1,
        }
    }
}

/// Where the list of what is about a manifest is kept in registries that keep none: its digest as a tag.
#[must_use]
pub(crate) fn fallback_tag(subject: &Digest) -> String {
    format!("sha256-{}", subject.hex())
}

fn descriptors(index: &Value) -> Vec<Descriptor> {
    let listed = index["manifests"].as_array().into_iter().flatten();
    listed
        .filter_map(|d| serde::Deserialize::deserialize(d).ok())
        .collect()
}

fn digest_in(headers: &HeaderMap) -> Option<Digest> {
    let text = headers.get("docker-content-digest")?.to_str().ok()?;
    text.parse().ok()
}

/// `Link: </v2/x/tags/list?last=b>; rel="next"`
fn next_page(headers: &HeaderMap, asked: &Url) -> Option<Url> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (target, rest) = link.trim_start().strip_prefix('<')?.split_once('>')?;
    let is_next = rest.replace(['"', ' '], "").contains("rel=next");
    is_next.then(|| asked.join(target).ok()).flatten()
}

/// A tag as it is, a digest short.
fn shown(reference: &str) -> String {
    match reference.parse::<Digest>() {
        Ok(digest) => digest.short(),
        Err(_) => reference.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_a_link() {
        let asked = Url::parse("https://r/v2/x/tags/list?n=1").unwrap();
        let next = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LINK, text.try_into().unwrap());
            next_page(&headers, &asked).map(String::from)
        };
        let path = "/v2/x/tags/list?n=1&last=a";
        assert_eq!(
            next(&format!("<{path}>; rel=\"next\"")),
            Some(format!("https://r{path}"))
        );
        assert_eq!(next(&format!("<{path}>; rel=prev")), None);
        assert_eq!(next("nothing"), None);
    }
}
