use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[tokio::test]
async fn each_client_gets_its_cuts_and_then_a_quiet_network() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let faults = Faults { seed: 3, cuts: 2, reach: 100 };
    let proxy = Proxy::start(1, faults).await.unwrap();
    let address = proxy.addresses()[0];

    // Without a server behind it a connection ends at once.
    let mut client = TcpStream::connect(address).await.unwrap();
    let _ = client.read_to_end(&mut Vec::new()).await;
    assert_eq!(proxy.done(), Done { no_server: 1, ..Done::default() });

    proxy.lead_to(Some(server.local_addr().unwrap()));
    let echo = async {
        let mut echoes = JoinSet::new();
        loop {
            let mut socket = server.accept().await.unwrap().0;
            echoes.spawn(async move {
                let (mut read, mut write) = socket.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    };
    let used = async {
        // A black hole is left as a client would leave it: when no echo comes.
        while proxy.done().cuts() < 2 {
            let mut client = TcpStream::connect(address).await.unwrap();
            let mut byte = [0; 1];
            while client.write_all(b"x").await.is_ok() {
                let echo = timeout(Duration::from_millis(500), client.read_exact(&mut byte)).await;
                if !echo.is_ok_and(|echo| echo.is_ok()) {
                    break;
                }
            }
        }
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut bytes = vec![1; 50_000];
        client.write_all(&bytes).await.unwrap();
        client.read_exact(&mut bytes).await.unwrap();
    };
    tokio::select! {
        () = used => {}
        () = echo => {}
    }
    let done = proxy.done();
    assert_eq!((done.cuts(), done.links), (2, 3));
}
