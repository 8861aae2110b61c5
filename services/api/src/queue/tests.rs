use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Waker};

use image::RgbImage;

use super::*;

/// A queue before the first activation.
struct Rig {
    queue: Queue,
    /// Does nothing until it is run.
    owner: Owner,
    metrics: Arc<Metrics>,
    /// For 64 photos.
    memory: Arc<Semaphore>,
}

fn rig(places: usize) -> Rig {
    let config = ServeConfig {
        queue: places,
        ..ServeConfig::default()
    };
    let metrics = Arc::new(Metrics::new());
    let (_, active) = watch::channel(Active::default());
    let (queue, owner) = Queue::new(&config, active, metrics.clone());
    Rig {
        queue,
        owner,
        metrics,
        memory: Arc::new(Semaphore::new(64)),
    }
}

async fn ask(queue: &Queue, memory: &Arc<Semaphore>, priority: Priority) -> Result<Reply, RequestError> {
    let width = if priority == Priority::Batch { 7 } else { 4 };
    let photo = Arc::new(RgbImage::new(width, 3).into());
    let memory = memory.clone().try_acquire_owned().unwrap();
    queue.answer(photo, Wanted::usual(), priority, memory).await
}

/// Goes on with a request until it waits.
fn begin(request: Pin<&mut impl Future>) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(request.poll(&mut context).is_pending());
}

#[tokio::test]
async fn photos_of_people_come_first_and_every_fourth_is_of_a_batch() {
    let Rig {
        queue,
        mut owner,
        memory,
        ..
    } = rig(16);
    for priority in [Priority::Batch, Priority::Interactive] {
        for _ in 0..6 {
            begin(pin!(ask(&queue, &memory, priority)));
        }
    }
    let order: String = std::iter::from_fn(|| owner.ready())
        .map(|job| match job.photo.image.width() {
            7 => 'b',
            _ => 'p',
        })
        .collect();
    assert_eq!(order, "pppbpppbbbbb");
}

#[tokio::test]
async fn a_photo_whose_client_left_is_dropped_and_counted_and_its_memory_is_free() {
    let Rig {
        queue,
        owner,
        metrics,
        memory,
    } = rig(16);
    let mut stays = pin!(ask(&queue, &memory, Priority::Interactive));
    begin(stays.as_mut());
    begin(pin!(ask(&queue, &memory, Priority::Interactive)));
    assert_eq!(memory.available_permits(), 62);
    let owner = tokio::spawn(owner.run());
    // Nothing is active: those who stayed are told so.
    let error = stays.await.err().unwrap();
    assert_eq!(error.code, Code::NoActiveRelease);
    let all = tokio::time::timeout(Duration::from_secs(60), memory.acquire_many(64)).await;
    assert!(matches!(all, Ok(Ok(_))));
    let text = metrics.render(Duration::from_secs(1));
    assert!(text.contains("\ngeosurge_photos_cancelled_total 1\n"), "{text}");
    owner.abort();
}

#[tokio::test]
async fn a_full_queue_says_when_there_should_be_room() {
    let Rig { queue, metrics, .. } = rig(3);
    let places: Vec<Place> = (0..3).map(|_| queue.admit().ok().unwrap()).collect();
    assert_eq!(queue.waiting(), 3);
    let advised = || {
        let refused = queue.admit().err().unwrap();
        assert_eq!(refused.code, Code::Overloaded);
        refused.retry_after.unwrap()
    };
    // Before the first photo nobody knows how long one takes.
    assert_eq!(advised(), 1);
    queue.pace.store(1_400_000, Ordering::Relaxed);
    assert_eq!(advised(), 5);
    queue.pace.store(3_600_000_000, Ordering::Relaxed);
    assert_eq!(advised(), LONGEST_WAIT);
    drop(places);
    assert!(queue.admit().is_ok());
    let text = metrics.render(Duration::from_secs(1));
    assert!(text.contains("\ngeosurge_photos_refused_total 3\n"), "{text}");
}

#[tokio::test]
async fn a_batch_takes_what_waits_and_waits_for_photos_on_their_way() {
    let Rig {
        queue,
        mut owner,
        memory,
        ..
    } = rig(16);
    // Longer than any test: waiting in vain would be noticed.
    owner.wait = Duration::from_secs(3600);
    let places: Vec<Place> = (0..3).map(|_| queue.admit().ok().unwrap()).collect();
    for _ in 0..3 {
        begin(pin!(ask(&queue, &memory, Priority::Interactive)));
    }
    assert_eq!(owner.take().await.unwrap().len(), 3);
    drop(places);

    let _places: Vec<Place> = (0..2).map(|_| queue.admit().ok().unwrap()).collect();
    begin(pin!(ask(&queue, &memory, Priority::Batch)));
    let taken = {
        let mut take = pin!(owner.take());
        // The second is still being decoded.
        begin(take.as_mut());
        begin(pin!(ask(&queue, &memory, Priority::Interactive)));
        take.await.unwrap()
    };
    assert_eq!(taken.len(), 2);
}
