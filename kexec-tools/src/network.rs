//! Which addresses of the machine are static. Read from the kernel by rtnetlink(7).

use std::net::IpAddr;

use anyhow::{bail, Context, Result};
use machine::processes::Process;
use netlink_packet_core::{
    NetlinkHeader, NetlinkMessage, NetlinkPayload, NLM_F_DUMP, NLM_F_REQUEST,
};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{protocols::NETLINK_ROUTE, Socket, SocketAddr};

/// Programs that keep an address alive without telling the kernel how long it lives.
const DHCP_CLIENTS: [&str; 4] = ["dhclient", "dhclient3", "dhcpcd", "udhcpc"];

/// Global addresses that live for ever and that no DHCP client looks after, as
/// `INTERFACE ADDRESS/PREFIX`.
///
/// Addresses from DHCP and router advertisements have a lifetime in the kernel. Old DHCP clients
/// do not set one; where such a client runs, its IPv4 addresses count as its own.
pub fn static_addresses(processes: &[Process]) -> Result<Vec<String>> {
    let dhcp = processes
        .iter()
        .any(|p| DHCP_CLIENTS.contains(&p.name.as_str()));
    let mut found = Vec::new();
    for message in addresses()? {
        let (mut address, mut flags, mut label) = (None, None, None);
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Local(ip) => address = Some(*ip),
                AddressAttribute::Address(ip) => address = address.or(Some(*ip)),
                AddressAttribute::Flags(f) => flags = Some(*f),
                AddressAttribute::Label(l) => label = Some(l.clone()),
                _ => {}
            }
        }
        let Some(address) = address else { continue };
        let header_says =
            u32::from(message.header.flags.bits()) & AddressFlags::Permanent.bits() != 0;
        let permanent = flags.map_or(header_says, |f| f.contains(AddressFlags::Permanent));
        let of_client = dhcp && matches!(address, IpAddr::V4(_));
        if message.header.scope == AddressScope::Universe
            && permanent
            && !of_client
            && !address.is_loopback()
        {
            let name = label
                .or_else(|| interface_name(message.header.index))
                .unwrap_or_default();
            found.push(format!("{name} {address}/{}", message.header.prefix_len));
        }
    }
    Ok(found)
}

fn interface_name(index: u32) -> Option<String> {
    let entries = std::fs::read_dir("/sys/class/net").ok()?;
    entries.flatten().find_map(|e| {
        let text = std::fs::read_to_string(e.path().join("ifindex")).ok()?;
        (text.trim().parse() == Ok(index)).then(|| e.file_name().to_string_lossy().into_owned())
    })
}

fn addresses() -> Result<Vec<AddressMessage>> {
    let mut socket = Socket::new(NETLINK_ROUTE).context("open a netlink socket")?;
    socket.bind_auto().context("bind the netlink socket")?;
    socket
        .connect(&SocketAddr::new(0, 0))
        .context("connect to the kernel by netlink")?;
    let mut request = NetlinkMessage::new(
        NetlinkHeader::default(),
        NetlinkPayload::from(RouteNetlinkMessage::GetAddress(AddressMessage::default())),
    );
    request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket
        .send(&bytes, 0)
        .context("ask the kernel for its addresses")?;
    let mut found = Vec::new();
    loop {
        let (datagram, _) = socket
            .recv_from_full()
            .context("read the kernel's addresses")?;
        let mut rest = &datagram[..];
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .context("parse the kernel's answer")?;
            let length = message.header.length as usize;
            match message.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(address)) => {
                    found.push(address);
                }
                NetlinkPayload::Done(_) => return Ok(found),
                NetlinkPayload::Error(e) => bail!("the kernel refused to list its addresses: {e}"),
                _ => {}
            }
            if length == 0 {
                bail!("the kernel's answer holds a message without length");
            }
            rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        }
    }
}
