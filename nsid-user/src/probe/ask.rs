//! One question over UDP: sent, waited for, and sent again where a packet may have been lost.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use super::message::{Answer, Malformed, Question};

/// How often a question is sent, each time with an id of its own: so a late answer is known for what it is.
const TRIES: u32 = 2;

/// The largest UDP payload.
const LARGEST: usize = 65_535;

/// What came of a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// What it was.
    pub(super) reply: Reply,
    /// How long after the question it came.
    pub(super) took: Duration,
}

/// What a server, or who knows that there is none, replies.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A response.
    Answer(Answer),
    /// A response that cannot be read.
    Malformed,
    /// No socket has that port (ICMP port unreachable).
    PortUnreachable,
    /// No packet gets there: the host or a router says so (ICMP), or there is no route.
    Unreachable,
}

/// Asks, and waits that long in all; `None`: nothing came.
pub(super) fn ask(server: SocketAddr, question: Question, timeout: Duration) -> io::Result<Option<Heard>> {
    let start = Instant::now();
    exchange(server, question, timeout).or_else(|error| {
        let reply = match error.kind() {
            ErrorKind::ConnectionRefused => Reply::PortUnreachable,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Reply::Unreachable,
            _ => return Err(error),
        };
        Ok(Some(Heard { reply, took: start.elapsed() }))
    })
}

fn exchange(server: SocketAddr, question: Question, timeout: Duration) -> io::Result<Option<Heard>> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    // Only now does the kernel pass on what the server sends, and nobody else, and ICMP errors (udp(7)).
    socket.connect(server)?;
    let mut buffer = vec![0; LARGEST];
    let mut asked = Vec::new();
    for _ in 0..TRIES {
        let [high, low, ..] = getrandom::u32()?.to_be_bytes();
        let id = u16::from_be_bytes([high, low]);
        let query = question.encode(id);
        let sent = Instant::now();
        socket.send(&query)?;
        asked.push((id, sent));
        while let Some(datagram) = receive(&socket, &mut buffer, sent + timeout / TRIES)? {
            let now = Instant::now();
            let heard = asked.iter().find_map(|&(id, sent)| {
                let reply = match question.read(id, datagram)? {
                    Ok(answer) => Reply::Answer(answer),
                    Err(Malformed) => Reply::Malformed,
                };
                Some(Heard { reply, took: now - sent })
            });
            if heard.is_some() {
                return Ok(heard);
            }
        }
    }
    Ok(None)
}

/// The next datagram; `None`: none has come until then.
fn receive<'a>(socket: &UdpSocket, buffer: &'a mut [u8], end: Instant) -> io::Result<Option<&'a [u8]>> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv(buffer) {
            Ok(length) => return Ok(Some(&buffer[..length])),
            // With a time-out, `recv` is not restarted after a signal (signal(7)).
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use hickory_proto::op::{Message, ResponseCode};

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(800);

    /// Asks a server on loopback that does with each query, and its number, what `serve` says.
    fn ask_one_that(
        loopback: IpAddr,
        serve: impl Fn(&UdpSocket, usize, &[u8]) + Send,
    ) -> (Option<Heard>, usize) {
        let server = UdpSocket::bind((loopback, 0)).unwrap();
        let address = server.local_addr().unwrap();
        server.set_read_timeout(Some(TIMEOUT * 2)).unwrap();
        thread::scope(|scope| {
            let queries = scope.spawn(move || {
                let mut buffer = [0; 512];
                let mut queries = 0;
                while let Ok((length, client)) = server.recv_from(&mut buffer) {
                    server.connect(client).unwrap();
                    serve(&server, queries, &buffer[..length]);
                    queries += 1;
                }
                queries
            });
            let heard = ask(address, Question::Nsid, TIMEOUT).unwrap();
            (heard, queries.join().unwrap())
        })
    }

    fn refusal(query: &[u8]) -> Vec<u8> {
        let mut response = Message::from_vec(query).unwrap().into_response();
        response.metadata.response_code = ResponseCode::Refused;
        response.to_vec().unwrap()
    }

    fn assert_refused(heard: Option<&Heard>) {
        let rcode = heard.map(|heard| match &heard.reply {
            Reply::Answer(answer) => answer.rcode,
            other => panic!("{other:?}"),
        });
        assert_eq!(rcode, Some(ResponseCode::Refused));
    }

    #[test]
    fn an_answer_is_heard_past_those_that_are_not_ours() {
        for loopback in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
            let (heard, queries) = ask_one_that(loopback, |server, _, query| {
                let mut response = refusal(query);
                response[1] ^= 1;
                server.send(&response).unwrap();
                server.send(query).unwrap();
                server.send(&[]).unwrap();
                server.send(&refusal(query)).unwrap();
            });
            assert_refused(heard.as_ref());
            assert_eq!(queries, 1);
        }
    }

    #[test]
    fn a_question_that_gets_lost_is_asked_again() {
        let (heard, queries) = ask_one_that(Ipv4Addr::LOCALHOST.into(), |server, number, query| {
            if number == 1 {
                server.send(&refusal(query)).unwrap();
            }
        });
        assert_refused(heard.as_ref());
        assert!(heard.unwrap().took < TIMEOUT / TRIES, "counted from the query that was answered");
        assert_eq!(queries, 2);
    }

    #[test]
    fn a_late_answer_is_counted_from_its_own_query() {
        let late = TIMEOUT * 5 / 8;
        let (heard, queries) = ask_one_that(Ipv4Addr::LOCALHOST.into(), |server, number, query| {
            if number == 0 {
                thread::sleep(late);
                server.send(&refusal(query)).unwrap();
            }
        });
        assert_refused(heard.as_ref());
        assert!(heard.unwrap().took >= late);
        assert_eq!(queries, 2);
    }

    #[test]
    fn silence_is_no_answer() {
        assert_eq!(ask_one_that(Ipv4Addr::LOCALHOST.into(), |_, _, _| {}), (None, 2));
    }

    #[test]
    fn junk_does_not_prolong_the_wait() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = server.local_addr().unwrap();
        let start = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| {
                let (_, client) = server.recv_from(&mut [0; 512]).unwrap();
                while start.elapsed() < TIMEOUT * 2 && server.send_to(b"junk", client).is_ok() {
                    thread::sleep(Duration::from_millis(1));
                }
            });
            assert_eq!(ask(address, Question::Nsid, TIMEOUT).unwrap(), None);
            let waited = start.elapsed();
            assert!((TIMEOUT..TIMEOUT * 2).contains(&waited), "{waited:?}");
        });
    }

    #[test]
    fn a_port_that_nobody_listens_on_is_told_at_once() {
        for loopback in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let free = UdpSocket::bind((loopback, 0)).unwrap().local_addr().unwrap();
            let Some(Heard { reply, took }) = ask(free, Question::IdServer, TIMEOUT).unwrap() else {
                panic!("nothing heard of {free}");
            };
            assert_eq!(reply, Reply::PortUnreachable);
            assert!(took < TIMEOUT / TRIES, "{took:?}");
        }
    }
}
