use super::super::flow::RANDOM;
use super::super::pasted::MAX_LINE;
use super::super::peer::MOST_LOOKS;
use super::*;
use crate::testing::until;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::spawn;

const LONG: Duration = Duration::from_secs(60);

type Outcome = Result<String, WaitError>;

/// A login that waits: where, with which answer it ends, what came of it, what it noticed.
struct Waiting {
    address: SocketAddr,
    good: String,
    outcome: Receiver<Outcome>,
    notices: Receiver<Notice>,
}

const SERVICE: &str = "https://accounts.example.org/authorize?state=s";

fn waiting(pasted: Option<io::PipeReader>, limit: Duration) -> Waiting {
    waiting_for(peer, Some(SERVICE), pasted, limit)
}

fn waiting_for(
    peer: fn(&TcpStream) -> Peer,
    service: Option<&'static str>,
    pasted: Option<io::PipeReader>,
    limit: Duration,
) -> Waiting {
    let listener = Listener { peer, ..Listener::bind(None).unwrap() };
    let flow = Flow::new("client", listener.port(), &[9; RANDOM]);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, listener.port()));
    let good = format!("/callback?code=c0de&state={}", state(&flow));
    let (done, outcome) = channel();
    let (noticed, notices) = channel();
    spawn(move || {
        let pasted = pasted.as_ref().map(AsFd::as_fd);
        let code = listener.wait(&flow, service, pasted, limit, |notice| noticed.send(notice).unwrap());
        let _ = done.send(code.map(|code| code.to_string()));
    });
    Waiting { address, good, outcome, notices }
}

/// The state, as a service learns it.
fn state(flow: &Flow) -> String {
    let spec = crate::plugins::manifest::LoginSpec::testing();
    let url = flow.authorize_url(&spec);
    let (_, rest) = url.split_once("&state=").unwrap();
    rest.split_once('&').unwrap().0.to_owned()
}

impl Waiting {
    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    fn get(&self, target: &str) -> String {
        let mut stream = self.connect();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    }

    fn ends(&self) -> Outcome {
        self.outcome.recv_timeout(LONG).expect("it ends")
    }
}

#[test]
fn the_browser_that_comes_back_ends_the_wait_and_nobody_is_answered_after_it() {
    let login = waiting(None, LONG);
    let mut second = login.connect();
    let page = login.get(&login.good);
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("can be closed"), "{page}");
    assert_eq!(login.ends().unwrap(), "c0de");
    let _ = write!(second, "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", login.good, login.address);
    assert!(matches!(second.read(&mut [0]), Ok(0) | Err(_)), "nobody is there any more");
}

#[test]
fn what_is_not_of_this_login_is_told_and_changes_nothing() {
    let login = waiting(None, LONG);
    for foreign in ["/callback?code=evil&state=abc", "/callback?code=evil", "/callback?error=access_denied&state=x"] {
        let page = login.get(foreign);
        assert!(page.starts_with("HTTP/1.1 400") && !page.contains("evil"), "{page}");
        assert_eq!(login.notices.recv_timeout(LONG).unwrap(), Notice::NotThisLogin);
    }
    assert!(login.get("/favicon.ico").starts_with("HTTP/1.1 404"));
    assert!(login.get(&format!("{}&code=again", login.good)).starts_with("HTTP/1.1 400"));
    login.get(&login.good);
    assert_eq!(login.ends().unwrap(), "c0de");
    assert!(login.notices.try_recv().is_err());
}

#[test]
fn a_browser_that_begins_is_sent_to_the_service_and_nobody_after_it() {
    let login = waiting(None, LONG);
    // what is not understood is not the one time
    let mut post = login.connect();
    write!(post, "POST /login HTTP/1.1\r\nHost: {}\r\n\r\n", login.address).unwrap();
    let mut page = String::new();
    post.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 405"), "{page}");
    let page = login.get("/login");
    assert!(page.starts_with("HTTP/1.1 302 Found\r\n") && page.contains(&format!("\r\nLocation: {SERVICE}\r\n")));
    assert!(page.contains("no-store") && page.contains("no-referrer") && page.ends_with("\r\n\r\n"), "{page}");
    for again in ["/login", "/login?x=1", "/login"] {
        let page = login.get(again);
        assert!(page.starts_with("HTTP/1.1 404") && page.contains("begin again"), "{page}");
        assert!(!page.contains("Location") && !page.contains(SERVICE), "{page}");
    }
    login.get(&login.good);
    assert_eq!(login.ends().unwrap(), "c0de");
}

#[test]
fn where_no_browser_was_opened_nobody_is_sent_to_the_service() {
    let login = waiting_for(peer, None, None, LONG);
    for _ in 0..2 {
        let page = login.get("/login");
        assert!(page.starts_with("HTTP/1.1 404") && !page.contains("Location"), "{page}");
    }
    login.get(&login.good);
    assert_eq!(login.ends().unwrap(), "c0de");
}

#[test]
fn another_users_try_to_begin_does_not_take_the_one_time() {
    fn first_is_other(_: &TcpStream) -> Peer {
        static CAME: AtomicBool = AtomicBool::new(false);
        if CAME.swap(true, Ordering::Relaxed) { Peer::Ours } else { Peer::Other }
    }
    let login = waiting_for(first_is_other, Some(SERVICE), None, LONG);
    assert!(login.get("/login").starts_with("HTTP/1.1 403"));
    assert!(login.get("/login").starts_with("HTTP/1.1 302"));
    login.get(&login.good);
    assert_eq!(login.ends().unwrap(), "c0de");
}

#[test]
fn who_comes_when_there_were_too_many_looks_is_unknown_and_known_a_second_later() {
    fn never(_: &TcpStream) -> Peer {
        panic!("it is looked")
    }
    let mut listener = Listener { peer: never, ..Listener::bind(None).unwrap() };
    let (mut visitors, mut looks, now) = (Vec::<Visitor>::new(), Looks::default(), Instant::now());
    assert!((0..MOST_LOOKS).all(|_| looks.may(now)));
    let mut comes = |listener: &Listener, count: usize, at| {
        let _visitor = TcpStream::connect((Ipv4Addr::LOCALHOST, listener.port())).unwrap();
        until("somebody is accepted", || {
            listener.accept(&mut visitors, &mut looks, at).unwrap();
            visitors.len() == count
        });
        visitors[count - 1].peer
    };
    assert_eq!(comes(&listener, 1, now), Peer::Unknown);
    listener.peer = |_| Peer::Ours;
    assert_eq!(comes(&listener, 2, now + Duration::from_secs(1)), Peer::Ours);
}

#[test]
fn other_users_are_not_listened_to_whatever_they_know_and_told_of_once() {
    for (peer, notice) in
        [((|_| Peer::Other) as fn(&TcpStream) -> Peer, Notice::OtherUser), (|_| Peer::Unknown, Notice::UnknownUser)]
    {
        let (reader, mut writer) = io::pipe().unwrap();
        let login = waiting_for(peer, Some(SERVICE), Some(reader), LONG);
        for target in [&*login.good, &login.good.replace("code=c0de", "error=access_denied"), "/login", "/"] {
            let page = login.get(target);
            assert!(page.starts_with("HTTP/1.1 403") && page.contains("terminal") && !page.contains(SERVICE), "{page}");
        }
        // the user can still say it
        writeln!(writer, "http://{}{}", login.address, login.good).unwrap();
        assert_eq!(login.ends().unwrap(), "c0de");
        assert_eq!(login.notices.try_iter().collect::<Vec<_>>(), [notice]);
    }
}

#[test]
fn another_user_makes_room_before_any_of_our_own() {
    let login = waiting(None, LONG);
    let now = Instant::now();
    let visitor = |seconds, peer| Visitor {
        stream: login.connect(),
        peer,
        said: room(0),
        until: now + Duration::from_secs(seconds),
    };
    let mut visitors = vec![visitor(1, Peer::Ours), visitor(3, Peer::Other), visitor(2, Peer::Unknown)];
    drop_oldest(&mut visitors);
    drop_oldest(&mut visitors);
    assert_eq!(visitors.iter().map(|visitor| visitor.peer).collect::<Vec<_>>(), [Peer::Ours]);
}

#[test]
fn a_no_with_the_right_state_ends_the_wait() {
    let login = waiting(None, LONG);
    let no = login.good.replace("code=c0de", "error=access_denied&error_description=The%20user%20said%20no");
    assert!(login.get(&no).contains("refused"));
    let error = login.ends().unwrap_err().to_string();
    assert_eq!(error, r#"the login was refused: "access_denied", "The user said no""#);
}

#[test]
fn garbage_silence_and_a_crowd_keep_nobody_waiting() {
    let login = waiting(None, LONG);
    let mut noise = login.connect();
    noise.write_all(&[0xFF; 64]).unwrap();
    let mut page = String::new();
    noise.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 400"), "{page}");
    let mut endless = login.connect();
    // it is cut before it has said all
    let _ = endless.write_all(&[b"GET /".as_slice(), &[b'x'; 20 * 1024]].concat());
    let mut first = [0; 12];
    // the page, or a reset that came before it
    assert!(endless.read(&mut first).map_or(true, |count| count == 0 || &first == b"HTTP/1.1 431"));
    // more than have room, and none says a word
    let crowd: Vec<TcpStream> = (0..3 * MAX_CONNECTIONS).map(|_| login.connect()).collect();
    login.get(&login.good);
    assert_eq!(login.ends().unwrap(), "c0de");
    drop(crowd);
}

#[test]
fn without_a_descriptor_the_oldest_makes_room_and_nobody_spins() {
    let login = waiting(None, LONG);
    let mut visitors: Vec<Visitor> = Vec::new();
    for seconds in [2, 1, 3] {
        let until = Instant::now() + Duration::from_secs(seconds);
        visitors.push(Visitor { stream: login.connect(), peer: Peer::Ours, said: room(0), until });
    }
    let latest = visitors.iter().map(|visitor| visitor.until).max();
    let fails = |errno: Errno, visitors: &mut Vec<Visitor>| not_accepted(errno.into(), visitors);
    fails(Errno::ECONNABORTED, &mut visitors).unwrap();
    assert_eq!(visitors.len(), 3, "that one was gone already");
    fails(Errno::EMFILE, &mut visitors).unwrap();
    fails(Errno::ENFILE, &mut visitors).unwrap();
    assert_eq!((visitors.len(), visitors.first().map(|visitor| visitor.until)), (1, latest));
    fails(Errno::EMFILE, &mut visitors).unwrap();
    assert_eq!(fails(Errno::EMFILE, &mut visitors).unwrap_err().raw_os_error(), Some(Errno::EMFILE as i32));
    fails(Errno::ECONNABORTED, &mut visitors).unwrap();
}

#[test]
fn a_login_nobody_answers_has_an_end() {
    let login = waiting(None, Duration::from_millis(50));
    let _silent = login.connect();
    let error = login.ends().unwrap_err();
    assert!(matches!(error, WaitError::TimedOut(_)), "{error}");
    assert!(error.to_string().contains("--timeout"), "{error}");
}

#[test]
fn the_address_can_be_pasted_and_a_wrong_one_is_told() {
    let (reader, mut writer) = io::pipe().unwrap();
    let login = waiting(Some(reader), LONG);
    writer.write_all(b"\nhttp://127.0.0.1:1/callback?code=x\n").unwrap();
    assert_eq!(login.notices.recv_timeout(LONG).unwrap(), Notice::NoAddress);
    writer.write_all(&[b'x'; 3 * MAX_LINE]).unwrap();
    writer.write_all(b"\n").unwrap();
    assert_eq!(login.notices.recv_timeout(LONG).unwrap(), Notice::NoAddress);
    let (start, end) = login.good.split_at(9);
    write!(writer, "http://{}{start}", login.address).unwrap();
    writeln!(writer, "{end}\r").unwrap();
    assert_eq!(login.ends().unwrap(), "c0de");
}

#[test]
fn without_anybody_to_paste_the_browser_is_still_waited_for() {
    let (reader, writer) = io::pipe().unwrap();
    let login = waiting(Some(reader), LONG);
    drop(writer);
    login.get(&login.good);
    assert_eq!(login.ends().unwrap(), "c0de");
}

#[test]
fn a_port_that_is_taken_is_named_with_what_to_do() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Listener::bind(Some(port)).unwrap_err().to_string();
    assert!(error.contains("--port PORT") && error.contains(&format!("127.0.0.1:{port}/callback")), "{error}");
}
