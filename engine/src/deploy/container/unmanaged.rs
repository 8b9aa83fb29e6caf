//! A container that somebody has started by hand under the target's name: it is kept beside while the first release is
//! tried, and takes its name again where that fails. It is known by its id, as its name changes.

use std::collections::BTreeMap;

use super::super::driver::Failure;
use super::super::hands::Hands;
use super::{CONTAINER, OneContainer};
use crate::ledger::Place;

/// How much of an id is enough.
const ID: usize = 12;

impl OneContainer {
    fn place(&self) -> String {
        format!("container/{}", self.name)
    }

    /// The container that has the target's name.
    ///
    /// # Errors
    /// When its engine removes it as soon as it stops, so that there would be no way back.
    pub(super) async fn remembered(
        &self,
        hands: &mut Hands,
    ) -> Result<Option<BTreeMap<String, Place>>, Failure> {
        let format = "{{.Id}} {{.HostConfig.AutoRemove}}";
        let told = self.inspected(&self.name, format, hands).await?;
        let Some((id, is_fleeting)) = told.as_deref().and_then(|t| t.split_once(' ')) else {
            return Ok(None);
        };
        if is_fleeting == "true" {
            let what = format!(
                "{} is a container that was started with `--rm` and not by pipe: once stopped it is gone, and there is no way back",
                self.name
            );
            let help = "end what starts it, and deploy again; nothing was changed";
            return Err(Failure::new(what).help(help).refused());
        }
        let place = Place {
            revision: id.chars().take(ID).collect(),
            replicas: None,
        };
        Ok(Some([(self.place(), place)].into()))
    }

    /// The id and the name that the container has now, if it is still there.
    pub(super) async fn kept(
        &self,
        places: &BTreeMap<String, Place>,
        hands: &mut Hands,
    ) -> Result<Option<(String, String)>, Failure> {
        let Some(place) = places.get(&self.place()) else {
            return Ok(None);
        };
        let id = &place.revision;
        let name = self.inspected(id, "{{.Name}}", hands).await?;
        // Docker's names begin with a slash.
        Ok(name.map(|name| (id.clone(), name.trim_start_matches('/').to_owned())))
    }

    /// Gives the container its name back, and starts it.
    pub(super) async fn restored(
        &self,
        places: &BTreeMap<String, Place>,
        hands: &mut Hands,
    ) -> Result<(), Failure> {
        hands.tell(CONTAINER, &self.name);
        for name in [self.beside("next"), self.beside("beside")] {
            self.remove(&name, hands).await?;
        }
        let Some((id, name)) = self.kept(places, hands).await? else {
            let what = format!("the container that was {} before is gone", self.name);
            return Err(Failure::new(what));
        };
        if name != self.name {
            if self.state(&self.name, hands).await?.is_some() {
                self.show_log(&self.name, hands).await;
                self.remove(&self.name, hands).await?;
            }
            hands
                .run(self.call(&["rename", &id, &self.name]).quiet())
                .await?;
        }
        hands.run(self.call(&["start", &id]).quiet()).await?;
        Ok(())
    }
}
